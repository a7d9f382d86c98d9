"""The forms that layers take on other backends, computed here.

A layer chooses its form by `jax.lax.platform_dependent`; every one of them can be computed on a CPU.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import pytest

from edeline_jax.actor_critic.rollout import act, restart_ended

FORMS = ("own", "cuda", "tpu")  # the first is that of the backend in use


@contextlib.contextmanager
def taking(form: str) -> Iterator[None]:
    """Makes every layer that is traced inside take this form."""

    def choose(*args: Any, default: Callable | None = None, **forms: Callable) -> Any:
        return forms.get(form, default)(*args)

    if form == "own":
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax.lax, "platform_dependent", choose)
        _forget_traces()
        yield
    _forget_traces()


def _forget_traces() -> None:
    """Of the functions that are jitted for good, which would keep the form that they were traced with."""
    for function in (act, restart_ended):
        function.clear_cache()
