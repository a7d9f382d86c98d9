"""Catch (bsuite; envpool's Catch-v0): EDELINE learns it in imagination on two CPU cores.

    python -m edeline_jax.train --config=configs/catch.py

The 10 x 5 board is drawn as a 20 x 20 image. A random policy returns -0.61, a perfect one +1. DIAMOND, the control,
learns it too (`--config.agent.kind=diamond`), in more epochs (`--config.training.num_final_epochs=16`).
"""

from ml_collections import ConfigDict

from edeline_jax.config.files import load


def get_config() -> ConfigDict:
    config = load("atari:catch")
    config.env.update(num_envs=8, size=20)
    config.training.num_final_epochs = 5
    config.collection.update(epsilon=0.05, num_steps_total=8_000, steps_per_epoch=400)
    config.collection.first_epoch.update(min=3_600, max=3_600, threshold_rew=0)
    config.evaluation.update(every=2, num_envs=10, num_episodes=50, num_steps_replay=100, num_batches=2)
    config.checkpointing.save_agent_every = 5
    agent = config.agent
    agent.denoiser.inner_model.update(cond_channels=64, depths=(1, 1), channels=(16, 32), attn_depths=(False, False))
    agent.recurrent_emb.update(channels=(16, 16, 16), down=(True, True, False), cond_channels=32)
    agent.recurrent_emb.mamba.update(d_model=64, n_layers=2)
    agent.rew_end_model.update(channels=(16, 32), depths=(1, 1), attn_depths=(False, False))
    agent.rew_end_model.update(cond_channels=32, lstm_dim=64)
    agent.actor_critic.update(channels=(8, 16, 16), down=(True, True, False), lstm_dim=64)
    config.world_model.training.update(steps_first_epoch=900, steps_per_epoch=80)
    config.world_model.optimizer.lr = 5e-4
    config.world_model.loss.horizon = 6
    config.actor_critic.training.update(steps_first_epoch=300, steps_per_epoch=60)
    config.actor_critic.optimizer.lr = 5e-4
    config.actor_critic.loss.update(backup_every=10, weight_entropy_loss=0.01)
    config.world_model_env.diffusion_sampler.num_steps_denoising = 1  # frames here are deterministic
    return config
