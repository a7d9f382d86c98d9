"""Reads and writes named arrays in one compressed `.npz` file; writes are atomic, reads are validated."""

import io
import zipfile
import zlib
from collections.abc import Container, Mapping
from typing import BinaryIO

import numpy as np
from etils.epath import Path

from edeline_jax.runtime.errors import UserError, one_line
from edeline_jax.runtime.files import is_special, writing

Shape = tuple[int | None, ...]  # None: any length
MOST_BYTES = 2**31  # of an array of any length: 170,000 frames of 64 x 64; a small file can stand for more than fits
Layout = Mapping[str, tuple[Shape, str]]  # name -> shape and dtype


class DatasetError(UserError):
    """A file of recorded experience cannot be used; the message names the file and the fault."""


class DamagedError(DatasetError):
    """The file is no longer what was written: cut short, or a checksum differs."""


class MisfitError(DatasetError):
    """The file is whole, but does not hold the arrays of the layout."""


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays by name; see `writing`."""
    with writing(path) as file:
        np.savez_compressed(file, **arrays)


def read_arrays(
    path: Path, layout: Layout, crc32: int | None = None, optional: Container[str] = ()
) -> dict[str, np.ndarray]:
    """Reads the arrays of a layout. The first dimension must be equal in all arrays, also if the layout says None.

    Those whose names are `optional` may be missing.

    Raises:
      DatasetError: the file is missing, or the operating system cannot read it.
      DamagedError: its checksum is not `crc32`, or not the one that it holds of itself.
      MisfitError: the arrays do not fit the layout.
    """
    content = _content(path)
    if crc32 is not None and zlib.crc32(content) != crc32:
        raise DamagedError(f"{path}: damaged, or not the file that was listed (crc32 differs)")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            there = archive.namelist()
            wanted = [name for name in layout if name not in optional or f"{name}.npy" in there]
            arrays = {name: _read_member(archive, name, *layout[name]) for name in wanted}
    except Exception as error:  # zipfile and numpy raise a dozen kinds on invalid bytes
        kind = MisfitError if _is_whole(content) else DamagedError
        raise kind(f"{path}: {one_line(error)}") from error
    _refuse_different_lengths(arrays, path)
    return arrays


def read_group(path: Path, prefix: str) -> dict[str, np.ndarray]:
    """Reads the arrays of any shapes whose names begin with `prefix`, by the rest of their names.

    Raises:
      DatasetError: the file is missing, or the operating system cannot read it.
      DamagedError: it is no longer what was written.
    """
    content = _content(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist() if name.startswith(prefix)}
        return {
            name.removeprefix(prefix).removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(member))
            for name, member in members.items()
        }
    except Exception as error:  # zipfile and numpy raise a dozen kinds on invalid bytes
        raise DamagedError(f"{path}: {one_line(error)}") from error


def fit_arrays(arrays: Mapping[str, np.ndarray], layout: Layout, path: Path) -> dict[str, np.ndarray]:
    """Converts arrays to those of a layout, as `read_arrays` does with those of a file; `path` is where they are from.

    Raises:
      MisfitError: the arrays do not fit the layout.
    """
    try:
        fitting = {name: _fit(arrays, name, *expected) for name, expected in layout.items()}
    except ValueError as error:
        raise MisfitError(f"{path}: {error}") from error
    _refuse_different_lengths(fitting, path)
    return fitting


def array_names(path: Path) -> list[str]:
    """Names of the arrays in a file; raises DatasetError if it is not a readable `.npz`."""
    refuse_special(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except Exception as error:
        raise DatasetError(f"{path}: {one_line(error)}") from error


def refuse_special(path: Path) -> None:
    """Raises DatasetError for pipes, devices and the like."""
    if is_special(path):
        raise DatasetError(f"{path}: not a regular file")


def refuse_large(name: str, size: int) -> None:
    """Raises ValueError if an array or a file of `size` bytes is more than one may have."""
    if size > MOST_BYTES:
        raise ValueError(f"{name} takes {size / 1e9:,.1f} GB, a file may hold {MOST_BYTES / 1e9:.1f}; split it")


def _content(path: Path) -> bytes:
    refuse_special(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error


def _refuse_different_lengths(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    if len({len(array) for array in arrays.values()}) > 1:
        raise MisfitError(f"{path}: arrays of different lengths, {_lengths(arrays)}")


def _is_whole(content: bytes) -> bool:
    """Whether this is an archive whose members all have their checksums."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.testzip() is None
    except Exception:  # zipfile raises a dozen kinds on invalid bytes
        return False


def _read_member(archive: zipfile.ZipFile, name: str, shape: Shape, dtype: str) -> np.ndarray:
    if f"{name}.npy" not in archive.namelist():
        raise ValueError(f"has no array {name!r}")
    with archive.open(f"{name}.npy") as member:
        found, fortran, found_dtype = _read_header(member)
        # before any data is read: a wrong header must not make us allocate the size it claims
        _refuse_misfit(name, found, found_dtype, shape, dtype)
        size = int(np.prod(found, dtype=object)) * found_dtype.itemsize
        if None in shape:
            refuse_large(name, size)
        if size > archive.getinfo(f"{name}.npy").file_size:
            raise ValueError(f"{name} is shorter than its header says")
        data = member.read(size + 1)  # one byte more, so that zipfile reaches the end and compares the checksum
    if len(data) != size:
        raise ValueError(f"{name} holds {len(data)} bytes, its header says {size}")
    return _converted(name, np.frombuffer(data, found_dtype).reshape(found, order="F" if fortran else "C"), dtype)


def _fit(arrays: Mapping[str, np.ndarray], name: str, shape: Shape, dtype: str) -> np.ndarray:
    if name not in arrays:
        raise ValueError(f"has no array {name!r}")
    array = arrays[name]
    _refuse_misfit(name, array.shape, array.dtype, shape, dtype)
    return _converted(name, array, dtype)


def _refuse_misfit(name: str, found: tuple[int, ...], found_dtype: np.dtype, shape: Shape, dtype: str) -> None:
    fits = len(found) == len(shape) and all(want in (None, have) for want, have in zip(shape, found, strict=True))
    if not fits or not _castable(found_dtype, dtype):
        raise ValueError(f"{name} is {found_dtype} {found}, expected {dtype} {_words(shape)}")


def _converted(name: str, array: np.ndarray, dtype: str) -> np.ndarray:
    wanted = np.ascontiguousarray(array).astype(dtype, copy=False)
    if wanted.dtype.kind == "i" and (wanted != array).any():
        raise ValueError(f"{name} has values that do not fit {dtype}")
    return wanted


def _read_header(member: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(member)
    return np.lib.format.read_array_header_2_0(member)


def _castable(found: np.dtype, wanted: str) -> bool:
    """Whether a dtype may be converted: frames must be uint8, numbers may have other widths, flags may be 0 and 1."""
    kinds = {"u": "u", "i": "iu", "f": "fiu", "b": "biu"}
    wanted_dtype = np.dtype(wanted)
    return found.kind in kinds[wanted_dtype.kind] and (wanted_dtype.kind != "u" or found == wanted_dtype)


def _words(shape: Shape) -> str:
    return f"[{', '.join('any' if n is None else str(n) for n in shape)}]"


def _lengths(arrays: Mapping[str, np.ndarray]) -> str:
    return ", ".join(f"{name} {len(array)}" for name, array in arrays.items())
