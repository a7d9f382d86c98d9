"""Files of `torch.save`. Nothing in them is executed, and nothing in them takes more memory than it has bytes."""

import io
import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils.epath import Path

from edeline_jax.runtime.errors import UserError

# What a training state holds beside tensors: NumPy's arrays, and counts. The older torch the fewer it knows by itself.
SKIPPED = (
    "collections.Counter",
    "numpy.dtype",
    "numpy.ndarray",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
)


def read_tensors(path: Path, part: str | None = None) -> dict[str, np.ndarray]:
    """The tensors of a mapping by their names; what else it holds is left out.

    Args:
      path: a `.pt` file.
      part: a key; if the mapping holds another one under it, that one is read.

    Raises:
      UserError: torch is not installed.
      Exception: of many kinds, where the file is not what it should be.
    """
    torch = _torch()
    content = path.read_bytes()
    _refuse_compressed(content)
    try:
        with torch.serialization.safe_globals([(_Skipped, name) for name in SKIPPED]):
            saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch's own words recommend to load it all the same
        raise ValueError("it is damaged, or holds objects that are neither numbers nor their names") from error
    if isinstance(saved, Mapping) and isinstance(saved.get(part), Mapping):
        saved = saved[part]
    if not isinstance(saved, Mapping):
        raise ValueError(f"expected a mapping of names to tensors, found {type(saved).__name__}")
    return {name: _to_numpy(name, x) for name, x in saved.items() if isinstance(name, str) and torch.is_tensor(x)}


def tensor_bytes(tensors: Mapping[str, np.ndarray]) -> bytes:
    """The content of a file that `read_tensors` reads; raises UserError if torch is not installed."""
    torch = _torch()
    buffer = io.BytesIO()
    torch.save({name: torch.from_numpy(np.array(x)) for name, x in tensors.items()}, buffer)
    return buffer.getvalue()


class _Skipped:
    """Takes the place of objects that are not wanted: it takes what they are made of, and does nothing."""

    def __init__(self, *parts: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _refuse_compressed(content: bytes) -> None:
    """Torch compresses nothing, but would unpack: a few bytes could stand for any number of zeros."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("it is compressed, which files of torch.save are not")


def _to_numpy(name: str, tensor: Any) -> np.ndarray:
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():  # all equal, and stored once
        raise ValueError(f"{name} has more numbers than the file holds")
    return tensor.detach().numpy()


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise UserError(".pt files need torch: pip install 'edeline-jax[torch]'") from error
    return torch
