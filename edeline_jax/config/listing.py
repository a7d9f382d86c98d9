"""What `--config` can name: environments and presets, family by family."""

import textwrap
from collections.abc import Iterator

from edeline_jax.config.files import load_module
from edeline_jax.envs import FAMILIES


def listing() -> Iterator[str]:
    """The lines of `python -m edeline_jax.train --list`."""
    yield "A config is FILE:NAME[,PRESET], as in --config=atari:breakout,tiny; files whose only name is their own"
    yield "need no colon."
    for family in FAMILIES:
        presets = ", ".join(getattr(load_module(family.config), "PRESETS", {}))
        yield ""
        yield f"{family.config}: {family.title}" + (f"; presets: {presets}" if presets else "")
        names = [*family.ids, *([f"{family.prefix}ID"] if family.prefix else [])]
        yield from textwrap.wrap(
            ", ".join(names), 110, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
        )
