"""EDELINE on any environment of Gymnasium that shows pictures and has discrete actions (docs/worlds.md).

    python -m edeline_jax.train --config=configs/gymnasium.py:CartPole-v1        # the paper's sizes, for an accelerator
    python -m edeline_jax.train --config=configs/gymnasium.py:CartPole-v1,tiny   # a laptop

The string after the colon is an environment's id, then optionally a preset. `--config.env.module=my_package` imports
the module that registers it, `--config.env.kwargs='{"continuous": false}'` are its arguments, and
`--config.env.resize=letterbox` keeps the shape of its pictures. It needs the extra `gymnasium`. The schedule and the
networks are those of Atari; rewards are learnt as they are, not by their signs.
"""

from ml_collections import ConfigDict

from edeline_jax.config.files import apply_presets, load, load_module

PRESETS = load_module("atari").FOR_EVERY_WORLD


def get_config(spec: str = "CartPole-v1") -> ConfigDict:
    """Returns the config of `ID[,PRESET]`."""
    id, *presets = spec.split(",")
    config = load(f"atari:gymnasium/{id}")
    config.env.done_on_life_loss = False
    config.reward.update(head="twohot", clip="none")
    return apply_presets(config, presets, PRESETS, "configs/gymnasium.py")
