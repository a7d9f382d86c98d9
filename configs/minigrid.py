"""EDELINE on MiniGrid and BabyAI: the paper's memory tasks, and any other level.

    python -m edeline_jax.train --config=configs/minigrid.py:memory_s7        # the paper's run, for an accelerator
    python -m edeline_jax.train --config=configs/minigrid.py:empty_5x5,tiny   # a laptop

The string after the colon is a level, as `MiniGrid-MemoryS7-v0` or in short `memory_s7`, then optionally a preset;
`python -m edeline_jax.train --list` names them. The schedule and the networks are those of Atari, as in the authors'
program. Published success: MemoryS7 0.981, MemoryS9 0.982.
"""

from ml_collections import ConfigDict

from edeline_jax.config.files import apply_presets, load, load_module
from edeline_jax.envs.minigrid import level_id


def get_config(spec: str = "memory_s7") -> ConfigDict:
    """Returns the config of `LEVEL[,PRESET]`."""
    level, *presets = spec.split(",")
    return apply_presets(load(f"atari:{level_id(level)}"), presets, PRESETS, "configs/minigrid.py")


def tiny(config: ConfigDict) -> None:
    """A small level in small frames: 4,200 steps, of which 1,000 come before anything learns.

    It takes more than an hour on two CPU cores.
    """
    config.env.size = 32
    config.training.num_final_epochs = 0
    config.collection.num_steps_total = 4_200
    config.collection.first_epoch.update(min=1_000, max=1_000)
    config.evaluation.update(every=2, num_envs=8, num_episodes=8, num_final_episodes=32, num_steps_replay=100)
    config.evaluation.num_batches = 2
    inner = config.agent.denoiser.inner_model
    inner.update(cond_channels=128, depths=(1, 1, 1), channels=(32, 32, 32), attn_depths=(False, False, False))
    config.agent.recurrent_emb.update(channels=(32, 32, 32, 32), cond_channels=64)
    config.agent.recurrent_emb.mamba.update(d_model=128, n_layers=2)
    config.agent.actor_critic.update(channels=(16, 16, 32, 32), lstm_dim=128)
    config.world_model.training.update(steps_first_epoch=600, steps_per_epoch=60, batch_size=16)
    config.world_model.loss.horizon = 10
    config.actor_critic.training.update(steps_first_epoch=400, steps_per_epoch=40, batch_size=16)
    config.actor_critic.loss.backup_every = 10
    config.world_model_env.horizon = 10
    for group in (config.world_model, config.actor_critic):
        group.optimizer.lr = 3e-4


PRESETS = load_module("atari").FOR_EVERY_WORLD | {"tiny": tiny}
