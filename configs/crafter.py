"""EDELINE on Crafter (Hafner, 2022).

    python -m edeline_jax.train --config=configs/crafter.py        # a million steps, for an accelerator
    python -m edeline_jax.train --config=configs/crafter.py:tiny   # a laptop

It needs the extra `crafter`. The replay of a million steps takes 12.3 GB, on the devices or, with
`--config.replay.placement=host`, on the host. The paper does not say how many updates its run of Crafter makes: here
there are as many as in a run of Atari, over ten times the steps. Rewards are learnt as they are: by their signs a
health point (0.1) would count as much as an achievement (1). Published return: 11.5.
"""

from ml_collections import ConfigDict

from edeline_jax.config.files import apply_presets, load, load_module

PRESETS = load_module("atari").FOR_EVERY_WORLD


def get_config(spec: str = "") -> ConfigDict:
    """Returns the config, after the presets in `spec`."""
    config = load("atari:crafter")
    config.env.done_on_life_loss = False
    config.collection.update(num_steps_total=1_000_000, steps_per_epoch=1_000)
    config.reward.update(head="twohot", clip="none")
    return apply_presets(config, filter(None, spec.split(",")), PRESETS, "configs/crafter.py")
