"""Files of runs and datasets, on a disk or in a bucket (`gs://`): written whole or not at all."""

import contextlib
import importlib.util
import io
import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from etils.epath import Path

from edeline_jax.runtime.errors import UserError, one_line

BUCKET = "gs://"


def to_path(name: str) -> Path:
    """The file or folder that a user names.

    Raises:
      UserError: it is in a kind of bucket that is not supported, or the library for buckets is not installed.
    """
    if "://" in name and not name.startswith(BUCKET):
        raise UserError(f"{name}: must be a folder on a disk or in a bucket, {BUCKET}BUCKET/FOLDER")
    if name.startswith(BUCKET):
        if not importlib.util.find_spec("gcsfs"):
            raise UserError(f"{name}: {BUCKET} needs gcsfs: pip install 'edeline-jax[gcs]'")
        import fsspec

        fsspec.config.conf.setdefault("gcs", {})["use_listings_cache"] = False  # other processes write there too
    return Path(name)


def in_bucket(path: Path) -> bool:
    """Whether it is an object store, where nothing can be locked, appended to or renamed at once."""
    return str(path).startswith(BUCKET)


def absolute(path: Path) -> Path:
    """The same place, whatever the working directory is and whichever links lead there."""
    return path if in_bucket(path) else Path(os.path.realpath(path))


def move(path: Path, target: Path) -> None:
    """Renames a file or folder; in a bucket object by object."""
    if in_bucket(path):
        import fsspec

        fsspec.url_to_fs(str(path))[0].mv(str(path), str(target), recursive=path.is_dir())
    else:
        path.rename(target)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when it is complete and on the disk, or in the bucket.

    Raises:
      UserError: it could not be written; nothing is left of it.
    """
    with _writing_object(path) if in_bucket(path) else _writing_file(path) as file:
        yield file


def write_json(path: Path, tree: Any) -> None:
    """Writes nested dicts and lists for people to read; see `writing`."""
    with writing(path) as file:
        file.write(json.dumps(tree, indent=2).encode() + b"\n")


class Lines:
    """A file of lines that grows at its end. In a bucket, where nothing grows, `flush` writes it anew."""

    def __init__(self, path: Path):
        self._path = path
        content = path.read_bytes() if path.exists() else b""
        self._object = bytearray(content) if in_bucket(path) else None
        if content and not content.endswith(b"\n"):  # cut short by a kill
            self.append("")

    def append(self, line: str) -> None:
        """Writes a line; raises OSError where the disk does not take it."""
        if self._object is not None:
            self._object += f"{line}\n".encode()
            return
        with self._path.open("a") as file:
            file.write(f"{line}\n")

    def flush(self) -> None:
        """Until the lines are where others can read them; raises UserError where the bucket does not take them."""
        if self._object is not None:
            with writing(self._path) as file:
                file.write(self._object)


@contextlib.contextmanager
def _writing_object(path: Path) -> Iterator[BinaryIO]:
    content = io.BytesIO()  # a file of the bucket's own would be kept half-written too
    yield content
    try:
        path.write_bytes(content.getvalue())
    except Exception as error:  # of gcsfs, aiohttp or Google's libraries
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
            os.fsync(folder)  # the name too
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {error.strerror or one_line(error)}; make room and try again") from error
