"""Files of runs and datasets, on a disk or in a bucket (`gs://`); a write either completes or leaves nothing."""

import contextlib
import importlib.util
import io
import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from etils.epath import Path

from edeline_jax.runtime.errors import UserError, one_line, refusal

BUCKET = "gs://"


def to_path(name: str) -> Path:
    """The path for a file or folder named by the user.

    Raises:
      UserError: the kind of bucket is not supported, or the library for buckets is not installed.
    """
    if "://" in name and not name.startswith(BUCKET):
        raise UserError(f"{name}: must be a folder on a disk or in a bucket, {BUCKET}BUCKET/FOLDER")
    if name.startswith(BUCKET):
        if not importlib.util.find_spec("gcsfs"):
            raise UserError(f"{name}: {BUCKET} needs gcsfs: pip install 'edeline-jax[gcs]'")
        import fsspec

        fsspec.config.conf.setdefault("gcs", {})["use_listings_cache"] = False  # other processes write there too
    return Path(os.path.expanduser(name))


def in_bucket(path: Path) -> bool:
    """Whether the path is in an object store, which has no locks, no appending and no atomic rename."""
    return str(path).startswith(BUCKET)


def is_special(path: Path) -> bool:
    """Whether it is a pipe, a device or the like, whose reading may never end."""
    return not in_bucket(path) and os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def absolute(path: Path) -> Path:
    """The absolute path with symbolic links resolved; a bucket's path as it is."""
    return path if in_bucket(path) else Path(os.path.realpath(path))


def move(path: Path, target: Path) -> None:
    """Renames a file or folder; in a bucket, moves it object by object."""
    if in_bucket(path):
        import fsspec

        fsspec.url_to_fs(str(path))[0].mv(str(path), str(target), recursive=path.is_dir())
    else:
        path.rename(target)


def files_below(folder: Path) -> Iterator[Path]:
    """All files in and below a folder, also links that lead nowhere."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from files_below(path)
        else:
            yield path


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for writing that appears under its name only once it is complete and on the disk, or in the bucket.

    Raises:
      UserError: it could not be written; no part of it is left behind.
    """
    with _writing_object(path) if in_bucket(path) else _writing_file(path) as file:
        yield file


def write_json(path: Path, tree: Any) -> None:
    """Writes nested dicts and lists as indented JSON; see `writing`."""
    with writing(path) as file:
        file.write(json.dumps(tree, indent=2).encode() + b"\n")


class Lines:
    """An append-only text file. Objects in a bucket cannot be appended to, so there `flush` rewrites the whole file."""

    def __init__(self, path: Path):
        self._path = path
        content = path.read_bytes() if path.exists() else b""
        self._object = bytearray(content) if in_bucket(path) else None
        if content and not content.endswith(b"\n"):  # the process was killed in the middle of a line
            self.append("")

    def append(self, line: str) -> None:
        """Appends a line; raises OSError if the write fails."""
        if self._object is not None:
            self._object += f"{line}\n".encode()
            return
        with self._path.open("a") as file:
            file.write(f"{line}\n")

    def flush(self) -> None:
        """Uploads the lines so far if the file is in a bucket; raises UserError if the upload fails."""
        if self._object is not None:
            with writing(self._path) as file:
                file.write(self._object)


@contextlib.contextmanager
def _writing_object(path: Path) -> Iterator[BinaryIO]:
    content = io.BytesIO()  # gcsfs's own file object would store a half-written file if an error interrupts it
    yield content
    try:
        path.write_bytes(content.getvalue())
    except Exception as error:  # gcsfs, aiohttp and Google's libraries each raise their own kinds
        raise UserError(f"cannot write {path}: {one_line(error)}") from error


@contextlib.contextmanager
def _writing_file(path: Path) -> Iterator[BinaryIO]:
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # makes the rename durable
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {refusal(error)}") from error
