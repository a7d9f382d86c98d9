"""The smallest config that runs the whole program: Catch, 20 x 20, networks of a few channels, up to 8 devices."""

from ml_collections import ConfigDict

from configs.catch import get_config as catch


def get_config() -> ConfigDict:
    config = catch()
    config.env.num_envs = 8
    config.training.num_final_epochs = 1
    config.collection.update(num_steps_total=160, steps_per_epoch=40)
    config.collection.first_epoch.update(min=40, max=80, threshold_rew=0)
    config.evaluation.update(
        every=2, num_envs=4, num_episodes=4, num_final_episodes=6, num_steps_replay=30, num_batches=1
    )
    config.checkpointing.update(save_agent_every=1, num_agents_to_keep=2)
    config.agent.denoiser.inner_model.update(cond_channels=8, depths=(1,), channels=(4,), attn_depths=(False,))
    config.agent.recurrent_emb.update(channels=(4,), down=(True,), cond_channels=4)
    config.agent.recurrent_emb.mamba.update(d_model=16, n_layers=1, d_state=4)
    config.agent.rew_end_model.update(channels=(4,), depths=(1,), attn_depths=(False,), cond_channels=4, lstm_dim=8)
    config.agent.actor_critic.update(channels=(4,), down=(True,), lstm_dim=8)
    for group in (config.world_model, config.actor_critic):
        group.training.update(steps_first_epoch=3, steps_per_epoch=2, batch_size=8)
    config.world_model.loss.num_autoregressive_steps = 0
    config.world_model_env.horizon = 4
    config.world_model_env.diffusion_sampler.num_steps_denoising = 1
    config.actor_critic.loss.backup_every = 4
    return config
