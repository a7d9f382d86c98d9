"""Recall: a cue at the start, a corridor, a choice at its end. EDELINE with a memory as long as the corridor.

    python -m edeline_jax.train --config=configs/recall.py:recall_32        # small networks, for a CPU
    python -m edeline_jax.train --config=configs/recall.py:recall_16,tiny   # a first look
    python -m edeline_jax.train --config=configs/recall.py:recall_32 --config.world_model_env.burn_in=3   # as published

The number is the longest delay between cue and choice, steps. Chance returns 0 and succeeds in half of the games, a
perfect memory returns 1. In recall_far_32 choices come 20 steps after the cue or later, and near gates pay by the cue.
Imagination burns in on as many frames as the delay is long; with the paper's 3 the cue is forgotten wherever it begins
later. The world model had learnt to recall after 1,500 and 2,700 updates on two seeds of three, with gates after 1,800
on one; at three times the learning rate the denoiser's gradients drown what the rewards say (`benchmarks.recall`).
"""

from ml_collections import ConfigDict

from edeline_jax.config.files import apply_presets, load
from edeline_jax.envs.recall import DELAYS


def get_config(spec: str = "recall_32") -> ConfigDict:
    """Returns the config of `WORLD[,PRESET]`."""
    world, *presets = spec.split(",")
    config = load(f"atari:{world}")
    config.env.update(num_envs=8, size=8)
    config.training.num_final_epochs = 10
    config.collection.update(epsilon=0.1, num_steps_total=20_000, steps_per_epoch=400)
    config.collection.first_epoch.update(min=8_000, max=8_000, threshold_rew=0)
    config.evaluation.update(every=5, num_envs=10, num_episodes=50, num_steps_replay=200, num_batches=2)
    config.checkpointing.save_agent_every = 10
    agent = config.agent
    agent.denoiser.inner_model.update(cond_channels=64, depths=(1, 1), channels=(16, 32), attn_depths=(False, False))
    agent.recurrent_emb.update(channels=(16, 16), down=(True, True), cond_channels=32)
    agent.recurrent_emb.mamba.update(d_model=32, n_layers=1)
    agent.actor_critic.update(channels=(8, 16), down=(True, True), lstm_dim=64)
    config.world_model.training.update(steps_first_epoch=4_000, steps_per_epoch=60)
    config.world_model.optimizer.update(lr=1e-3, max_grad_norm=10.0)
    config.world_model.loss.num_autoregressive_steps = 0
    config.actor_critic.training.update(steps_first_epoch=300, steps_per_epoch=60)
    config.actor_critic.optimizer.lr = 5e-4
    config.actor_critic.loss.weight_entropy_loss = 0.01
    longest, doors_from = DELAYS.get(world, (0, 0))  # unknown names are refused where the environment is made
    config.world_model_env.burn_in = longest
    if doors_from:
        config.world_model.loss.horizon = 21  # segments of 25 steps, which hold the nearest doors and their cue
        config.world_model.training.steps_first_epoch = 3_000  # gates teach it sooner
    config.world_model_env.diffusion_sampler.num_steps_denoising = 1  # most frames here are deterministic
    return apply_presets(config, presets, PRESETS, "configs/recall.py")


def tiny(config: ConfigDict) -> None:
    """Runs the whole program with few updates; too short to learn the cue by."""
    config.training.num_final_epochs = 0
    config.collection.update(num_steps_total=2_800, steps_per_epoch=400)
    config.collection.first_epoch.update(min=2_000, max=2_000)
    config.evaluation.update(every=1, num_episodes=20, num_final_episodes=20)
    config.world_model.training.update(steps_first_epoch=200, steps_per_epoch=40, batch_size=16)
    config.actor_critic.training.update(steps_first_epoch=40, steps_per_epoch=20, batch_size=16)


PRESETS = {"tiny": tiny}
