"""EDELINE on Craftax-Classic (Matthews et al., 2024), Crafter written in JAX: steps are compiled, on the device.

    python -m edeline_jax.train --config=configs/craftax.py        # a million steps, for an accelerator
    python -m edeline_jax.train --config=configs/craftax.py:tiny   # a laptop

It needs the extra `craftax`. All environments step in one call, so several of them cost little more than one. Frames
have the package's size, 63 x 63, and rewards are learnt as they are; networks and schedule are those of Crafter.
"""

from ml_collections import ConfigDict

from edeline_jax.config.files import apply_presets, load, load_module

PRESETS = load_module("atari").FOR_EVERY_WORLD


def get_config(spec: str = "") -> ConfigDict:
    """Returns the config, after the presets in `spec`."""
    config = load("crafter")
    config.env.update(id="craftax", size=63, num_envs=8)
    return apply_presets(config, filter(None, spec.split(",")), PRESETS, "configs/craftax.py")
