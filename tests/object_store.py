"""A small fake of Google Cloud Storage's JSON API on localhost, so that tests of gs:// folders never contact a cloud.

It has one flat bucket, in memory, and serves what tensorstore, gcsfs (behind epath) and google-cloud-storage ask for:

    with ObjectStore() as store:
        subprocess.run(command, env=os.environ | store.variables)  # the command writes below gs://bucket/
        assert "run/config.json" in store.objects
"""

import base64
import hashlib
import http.server
import itertools
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

BUCKET = "bucket"
PAGE = 1000  # entries of a listing that come in one answer
BUCKET_PATH = f"/storage/v1/b/{BUCKET}"
OBJECT_PATH = rf"{BUCKET_PATH}/o/([^/]+)"
UPLOAD_PATH = f"/upload{BUCKET_PATH}/o"


class Blob(NamedTuple):
    data: bytes
    generation: int  # another one with each write
    md5: str
    written: str


class Request(NamedTuple):
    method: str
    path: str  # still quoted: a slash inside an object's name is %2F
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes


class Reply(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]


class Refused(Exception):
    def __init__(self, status: int, message: str):
        self.reply = as_json({"error": {"code": status, "message": message}}, status)


def as_json(value: dict, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


class ObjectStore:
    """The server and its objects by name, for tests to look at and, while no client runs, to delete or to `put`.

    `refuse` is the status, 403 say, that uploads get instead of being stored.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Blob] = {}
        self.uploads: dict[str, bytearray] = {}  # resumable ones that are not complete, by upload_id
        self.refuse: int | None = None
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.store = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which all three clients come here, and none looks for credentials."""
        return {
            "STORAGE_EMULATOR_HOST": self.url,
            "TENSORSTORE_GCS_HTTP_URL": self.url,
            "GOOGLE_AUTH_TOKEN_FOR_TESTING": "abc",
            "FSSPEC_GCS": '{"token": "anon"}',
            "NO_GCE_CHECK": "true",
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # else gcsfs asks for the bucket's layout by gRPC
            "EPATH_USE_TF": "false",  # else epath prefers an installed TensorFlow, which looks elsewhere
        }

    def names(self, prefix: str = "") -> list[str]:
        return [name for name in sorted(self.objects) if name.startswith(prefix)]

    def put(self, name: str, data: bytes) -> None:
        md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
        self.objects[name] = Blob(bytes(data), next(self.numbers), md5, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}")

    def respond(self, request: Request) -> Reply:
        with self.lock:
            try:
                if self.refuse and request.path == UPLOAD_PATH:
                    raise Refused(self.refuse, "This bucket takes no writes.")
                for pattern, answer in ROUTES.items():
                    if match := re.fullmatch(pattern, f"{request.method} {request.path}"):
                        return answer(self, request, *map(unquote, match.groups()))
                raise Refused(404, "Not Found")
            except Refused as refused:
                return refused.reply


def check(store: ObjectStore, name: str, query: dict[str, str]) -> None:
    """Generation 0 stands for no object."""
    generation = str(store.objects[name].generation if name in store.objects else 0)
    if query.get("ifGenerationMatch", generation) != generation:
        raise Refused(412, "At least one of the pre-conditions you specified did not hold.")
    if query.get("ifGenerationNotMatch") == generation:
        raise Refused(304, "Not Modified")


def find(store: ObjectStore, name: str, query: dict[str, str]) -> Blob:
    check(store, name, query)
    blob = store.objects.get(name)
    if blob is None or query.get("generation", str(blob.generation)) != str(blob.generation):
        raise Refused(404, f"No such object: {BUCKET}/{name}")
    return blob


def write(store: ObjectStore, name: str, data: bytes, query: dict[str, str]) -> dict:
    check(store, name, query)
    store.put(name, data)
    return resource(store, name)


def resource(store: ObjectStore, name: str) -> dict:
    blob = store.objects[name]
    about = {"kind": "storage#object", "bucket": BUCKET, "name": name, "timeCreated": blob.written}
    about |= {"generation": str(blob.generation), "metageneration": "1", "updated": blob.written}
    return about | {"size": str(len(blob.data)), "md5Hash": blob.md5, "contentType": "application/octet-stream"}


def bucket(store: ObjectStore, request: Request) -> Reply:
    about = {"kind": "storage#bucket", "id": BUCKET, "name": BUCKET, "location": "US", "locationType": "multi-region"}
    about |= {"storageClass": "STANDARD", "hierarchicalNamespace": {"enabled": False}}
    one_of_all = request.path == "/storage/v1/b"
    return as_json({"kind": "storage#buckets", "items": [about]} if one_of_all else about)


def listing(store: ObjectStore, request: Request) -> Reply:
    query = request.query
    size = min(PAGE, int(query.get("maxResults", PAGE)))
    after = bytes.fromhex(query.get("pageToken", "")).decode()
    found = [entry for entry in dict.fromkeys(entries(store, query)) if entry[0] > after]
    page = {
        "kind": "storage#objects",
        "items": [resource(store, name) for name, is_prefix in found[:size] if not is_prefix],
        "prefixes": [name for name, is_prefix in found[:size] if is_prefix],
    }
    if len(found) > size:
        page["nextPageToken"] = found[size - 1][0].encode().hex()  # tensorstore sends it back unquoted
    return as_json(page)


def entries(store: ObjectStore, query: dict[str, str]) -> Iterator[tuple[str, bool]]:
    """In order, the names, each cut behind the first delimiter after the prefix; and whether it was cut."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
    for name in store.names(prefix):
        if query.get("startOffset", "") <= name < query.get("endOffset", chr(sys.maxunicode)):
            head, cut, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            yield (prefix + head + cut, True) if cut else (name, False)


def read(store: ObjectStore, request: Request, name: str) -> Reply:
    blob = find(store, name, request.query)
    if request.query.get("alt") != "media":
        return as_json(resource(store, name))
    headers = {"X-Goog-Generation": str(blob.generation)}
    if "range" not in request.headers:
        return Reply(200, blob.data, headers)
    size = len(blob.data)
    first, last = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers["range"]).groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= stop:
        raise Refused(416, "Request range not satisfiable")
    return Reply(206, blob.data[start:stop], headers | {"Content-Range": f"bytes {start}-{stop - 1}/{size}"})


def delete(store: ObjectStore, request: Request, name: str) -> Reply:
    find(store, name, request.query)
    del store.objects[name]
    return Reply(204, b"", {})


def copy(store: ObjectStore, request: Request, source: str, how: str, target: str) -> Reply:
    data = find(store, source, {}).data
    written = write(store, target, data, request.query)
    if how == "moveTo" and source != target:
        del store.objects[source]
    size = str(len(data))
    rewrite = {"done": True, "objectSize": size, "totalBytesRewritten": size, "resource": written}
    return as_json(rewrite if how == "rewriteTo" else written)


def upload(store: ObjectStore, request: Request) -> Reply:
    query = request.query
    if "upload_id" in query:
        return resume(store, request)
    if query["uploadType"] == "media":
        return as_json(write(store, query["name"], request.body, query))
    if query["uploadType"] == "multipart":
        about, data = parts(request)
        return as_json(write(store, about["name"], data, query))
    name = query.get("name") or json.loads(request.body)["name"]
    upload_id = str(next(store.numbers))
    store.uploads[upload_id] = bytearray()
    # The name and the conditions travel in the address, to be there at the upload's end.
    address = urlencode(query | {"name": name, "upload_id": upload_id}, quote_via=quote)
    return Reply(200, b"", {"Location": f"{store.url}{UPLOAD_PATH}?{address}"})


def parts(request: Request) -> tuple[dict, bytes]:
    """What a multipart upload says about the object, and its data."""
    boundary = b"--" + re.search('boundary="?([^";]+)', request.headers["content-type"])[1].encode()
    _, about, data = request.body[: request.body.rindex(boundary)].split(boundary, 2)
    newline = b"\r\n" if data.startswith(b"\r\n") else b"\n"
    about, data = (part.split(2 * newline, 1)[1].removesuffix(newline) for part in (about, data))
    return json.loads(about), data


def resume(store: ObjectStore, request: Request) -> Reply:
    """Takes a chunk of an upload; the object appears with the last one."""
    upload_id = request.query["upload_id"]
    if upload_id not in store.uploads:
        raise Refused(404, "No such upload")
    pending = store.uploads[upload_id]
    span = request.headers.get("content-range", f"bytes 0-/{len(request.body)}")
    first, total = re.fullmatch(r"bytes (?:(\d+)-\d*|\*)/(\d+|\*)", span).groups()
    if first and int(first) > len(pending):
        raise Refused(400, "A part of the upload is missing.")
    if first:
        pending[int(first) :] = request.body
    if total == str(len(pending)):
        return as_json(write(store, request.query["name"], store.uploads.pop(upload_id), request.query))
    return Reply(308, b"", {"Range": f"bytes=0-{len(pending) - 1}"} if pending else {})


def cancel(store: ObjectStore, request: Request) -> Reply:
    store.uploads.pop(request.query["upload_id"], None)
    return Reply(499, b"", {})


ROUTES: dict[str, Callable[..., Reply]] = {
    f"GET (?:/storage/v1/b|{BUCKET_PATH}|{BUCKET_PATH}/storageLayout)": bucket,
    f"GET {BUCKET_PATH}/o": listing,
    f"GET (?:/download)?{OBJECT_PATH}": read,
    f"DELETE {OBJECT_PATH}": delete,
    f"POST {OBJECT_PATH}/(rewriteTo|copyTo|moveTo)(?:/b/{BUCKET})?/o/([^/]+)": copy,
    f"(?:POST|PUT) {UPLOAD_PATH}": upload,
    f"DELETE {UPLOAD_PATH}": cancel,
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        url = urlsplit(self.path)
        request = Request(self.command, url.path, dict(parse_qsl(url.query)), headers, body)
        status, body, headers = self.server.store.respond(request)
        self.send_response(status)
        body = b"" if status == http.HTTPStatus.NOT_MODIFIED else body  # which must not have one
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # tensorstore opens many connections at once

    def handle_error(self, *connection) -> None:
        """gcsfs hangs up on the slower of two requests."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*connection)
