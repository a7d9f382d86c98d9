"""EDELINE on ViZDoom: the paper's five scenarios.

    python -m edeline_jax.train --config=configs/vizdoom.py:basic        # the paper's sizes, for an accelerator
    python -m edeline_jax.train --config=configs/vizdoom.py:basic,tiny   # a laptop

The string after the colon is basic, deadly_corridor, defend_the_center, health_gathering or predict_position, then
optionally a preset. It needs the extra `vizdoom`. Rewards and time limits are the paper's; its authors published no
program for this part, so the schedule and the networks are those of Atari.
"""

from ml_collections import ConfigDict

from edeline_jax.config.files import apply_presets, load, load_module

PRESETS = load_module("atari").FOR_EVERY_WORLD


def get_config(spec: str = "basic") -> ConfigDict:
    """Returns the config of `SCENARIO[,PRESET]`."""
    scenario, *presets = spec.split(",")
    config = load(f"atari:vizdoom/{scenario}")
    config.env.done_on_life_loss = False
    return apply_presets(config, presets, PRESETS, "configs/vizdoom.py")
