"""Where compiled programs are kept from one start to the next."""

import contextlib
import os
from pathlib import Path


def cache_folder() -> Path | None:
    """The user's folder for caches; None for a user without a home."""
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder)
    with contextlib.suppress(RuntimeError):
        return Path.home() / ".cache"
    return None


def keep_programs() -> None:
    """Keeps compiled programs in the user's folder for caches, unless JAX has been told of another."""
    import jax

    if jax.config.jax_compilation_cache_dir is None and (cache := cache_folder()):
        jax.config.update("jax_compilation_cache_dir", str(cache / "edeline-jax"))
