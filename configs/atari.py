"""EDELINE on Atari 100k (Lee et al., NeurIPS 2025): the paper's run.

    python -m edeline_jax.train --config=configs/atari.py:breakout        # the paper's run, for an accelerator
    python -m edeline_jax.train --config=configs/atari.py:breakout,tiny   # a laptop: small frames, networks, schedule

The string after the colon is a game, then optionally a preset; `python -m edeline_jax.train --list` names them.
Published for the reference: 2.9 days on one RTX 4090; mean return on Breakout 250.5, Pong 20.5 (5 seeds). Projected for
this program: 16 hours on one H100 in bfloat16. docs/results.md has every game, and what was measured here.
"""

from ml_collections import ConfigDict

from edeline_jax.config.files import apply_presets


def get_config(spec: str = "breakout") -> ConfigDict:
    """Returns the config of `GAME[,PRESET]`."""
    game, *presets = spec.split(",")
    config = ConfigDict(
        dict(
            seed=0,  # of all random numbers of the run
            env=environment(game),  # the game, and how its frames become steps
            initialization=initialization(),  # weights to begin with, part by part
            training=training(),  # what the run does, and for how long after the last collected step
            collection=collection(),  # real steps: how many, when, and with how much exploration
            replay=replay(),  # where the steps are kept
            evaluation=evaluation(),  # how often and how long the agent and its world model are tested
            checkpointing=checkpointing(),  # what is saved, how often, and how much of it is kept
            agent=agent(),  # the networks
            reward=reward(),  # how rewards are learnt; scores are raw in any case
            world_model=world_model(),  # how denoiser, memory and heads learn from real segments
            actor_critic=actor_critic(),  # how the policy and its value learn, in imagination
            world_model_env=world_model_env(),  # the world model as an environment: what an imagined rollout is
            wandb=wandb(),  # a copy of metrics and pictures on Weights & Biases
            tensorboard=False,  # True: a copy of them as event files in RUN/tensorboard/ (extra tensorboard)
        )
    )
    return apply_presets(config, presets, PRESETS, "configs/atari.py")


def environment(game: str) -> dict:
    return dict(
        id=game,  # what is played, see --list; "none" (a static dataset without a game to test in)
        num_envs=1,  # environments stepped together while collecting; a multiple of the number of processes
        size=64,  # side of a frame, pixels
        frame_skip=4,  # emulator frames per step (Atari, ViZDoom); the last two are max-pooled (Atari)
        noop_max=30,  # no-op steps at reset, uniform in 1..noop_max (Atari)
        max_episode_frames=108_000,  # emulator frames after which an episode is cut off (Atari)
        done_on_life_loss=True,  # while collecting, a lost life ends the episode but not the game
        resize="stretch",  # how a picture that is no square becomes one: stretch or letterbox (Gymnasium)
        module="",  # is imported first, for the environments that it registers (Gymnasium); empty: none
        kwargs="{}",  # a JSON object, the arguments of the environment (Gymnasium)
        workers="in_turn",  # how several are stepped: in_turn, threads or processes (ViZDoom, Crafter, Gymnasium)
    )


def initialization() -> dict:
    return dict(
        path_to_ckpt="",  # initial weights: a run's folder, its agents/EPOCH, FILE.safetensors or FILE.pt; empty: fresh
        load_denoiser=True,  # whether to load the next-frame predictor
        load_rew_end_model=True,  # whether to load the memory, its reward and end heads and the harmonizers
        load_actor_critic=True,  # whether to load policy and value
    )


def training() -> dict:
    return dict(
        should=True,  # False: only evaluate
        model_free=False,  # True: the actor-critic learns from real environments, without a world model
        num_final_epochs=50,  # epochs of training after the last step is collected
    )


def collection() -> dict:
    return dict(
        epsilon=0.01,  # probability of a uniformly random action
        num_steps_total=100_000,  # environment steps of the run; 100k steps = 400k emulator frames
        steps_per_epoch=100,  # environment steps between updates
        first_epoch=dict(  # the steps collected before anything learns
            min=5_000,  # fewest environment steps before epoch 1, whose steps come on top
            max=10_000,  # most environment steps before epoch 1
            threshold_rew=10,  # between the two, stop once this many steps have a reward sign other than the commonest
        ),
        path_to_static_dataset="",  # empty: collect steps; else train on these episodes (docs/data.md)
    )


def replay() -> dict:
    return dict(
        placement="device",  # or host: a memory-mapped file of the host, for replays larger than the devices
    )


def evaluation() -> dict:
    return dict(
        every=10,  # epochs between tests
        num_envs=4,  # test environments stepped together
        num_episodes=4,  # episodes of a test
        num_final_episodes=100,  # episodes of the last test
        epsilon=0.0,  # probability of a uniformly random action
        num_steps_replay=1_000,  # steps kept per test environment, for the world model's test losses
        num_batches=8,  # batches of the world model's test losses
        held_out_share=0.1,  # of a static dataset's episodes, kept to test the world model on if there is no game
    )


def checkpointing() -> dict:
    return dict(
        save_state_every=1,  # epochs between saves of the full state
        num_states_to_keep=2,  # newest full states kept; more than one in case the newest is damaged
        save_agent_every=50,  # epochs between saves of the agent's weights
        num_agents_to_keep=10,  # newest agent weights kept
        save_every_minutes=10.0,  # most minutes of a long epoch between saves of the full state
    )


def agent() -> dict:
    return dict(
        kind="edeline",  # the world model: edeline or diamond, its control, which has no memory (preset diamond)
        compute_dtype="float32",  # or bfloat16: parameters, norms, softmax, scan and sigma arithmetic stay float32
        matmul_precision="default",  # of float32 products: JAX's own (GPU: TF32, TPU: bfloat16), or highest: all bits
        denoiser=dict(  # the next-frame predictor, a diffusion model
            sigma_data=0.5,  # standard deviation of the frames, in [-1, 1] units
            sigma_offset_noise=0.3,  # standard deviation of the noise shared by all pixels of a channel
            inner_model=dict(  # its U-Net
                num_steps_conditioning=4,  # L, past frames that the denoiser sees
                cond_channels=256,  # size of the condition vector
                depths=(2, 2, 2, 2),  # residual blocks per level
                channels=(64, 64, 64, 64),  # channels per level
                attn_depths=(False, False, False, False),  # attention per level (the two middle blocks always have it)
                frame_stack=True,  # False: it sees no past frame, only h (an ablation)
                cross_attention=True,  # False: blocks with attention attend to pixels alone, not to h (an ablation)
            ),
        ),
        recurrent_emb=dict(  # the memory: h_t, from the frames and actions so far
            channels=(64, 64, 64, 64),  # image encoder, per level
            down=(True, True, True, True),  # halve the resolution after the level
            cond_channels=128,  # size of the action embedding
            memory="mamba",  # its layers: mamba, or for comparison gru, lstm or transformer
            window=128,  # transformer: steps that a step attends to, itself included
            mamba=dict(  # its selective state space layers; d_model and n_layers are those of every kind
                d_model=512,  # D, size of h
                n_layers=3,  # layers, one after the other
                d_state=16,  # N, state size per channel
                expand_factor=2,  # E = expand_factor * D (mamba, transformer)
                d_conv=4,  # width of the causal convolution, steps
                scan="associative",  # how the selective scan runs: associative or sequential
            ),
        ),
        rew_end_model=dict(  # DIAMOND only: rewards and ends, from frames and the actions between them
            channels=(32, 32, 32, 32),  # channels per level
            depths=(2, 2, 2, 2),  # residual blocks per level
            attn_depths=(False, False, False, False),  # attention per level (two more blocks at the end always have it)
            cond_channels=128,  # size of the action embedding
            lstm_dim=512,  # size of the LSTM's state
        ),
        actor_critic=dict(  # policy and value: an image encoder and an LSTM
            channels=(32, 32, 64, 64),  # image encoder, per level
            down=(True, True, True, True),  # halve the resolution after the level
            lstm_dim=512,  # size of the LSTM's state
            inputs="frames",  # of the LSTM; frames_and_h: it also sees h, what the memory knows before the frame
        ),
    )


def reward() -> dict:
    return dict(
        head="sign",  # what the world model predicts: the sign of a reward, or its value (twohot)
        clip="sign",  # what the critic adds up: signs of rewards, or rewards as they are (none)
    )


def world_model() -> dict:
    return dict(
        training=dict(  # the schedule of its updates
            start_after_epochs=0,  # epochs without world-model updates
            steps_first_epoch=10_000,  # updates of epoch 1
            steps_per_epoch=400,  # updates of each later epoch
            batch_size=32,  # segments over all devices
            grad_acc_steps=1,  # batches whose gradients are averaged into one update
            sample_weights=(0.1, 0.1, 0.1, 0.7),  # of as many age groups of episodes, oldest first; they sum to 1
        ),
        optimizer=dict(  # AdamW
            lr=1e-4,  # learning rate after the warm-up
            weight_decay=1e-2,  # decoupled; of weights, not of biases, embeddings and most norms
            eps=1e-8,  # added to the root of Adam's second moment
            lr_warmup_steps=100,  # updates of linear warm-up from 0
            max_grad_norm=1.0,  # gradients of a larger global norm are scaled down to it
            max_grad_norm_rew_end=100.0,  # DIAMOND only: that of the reward-and-end model, which is clipped by itself
        ),
        loss=dict(  # reward, end and denoising losses on segments of the replay
            horizon=15,  # a segment has horizon + L steps
            burn_in=0,  # steps before a segment that the memory has seen, without gradient; 0: it begins at zeros
            num_autoregressive_steps=1,  # additional targets, denoised after the model's own predictions
            harmony=True,  # learned balance of reward and observation loss (EDELINE's harmonizers)
            sigma_distribution=dict(  # noise levels that the denoiser learns at: ln sigma is normal, then sigma clipped
                loc=-0.4,  # mean of ln sigma
                scale=1.2,  # standard deviation of ln sigma
                sigma_min=2e-3,  # smallest sigma
                sigma_max=20.0,  # largest sigma
            ),
        ),
    )


def actor_critic() -> dict:
    return dict(
        training=dict(  # the schedule of its updates
            start_after_epochs=0,  # epochs without actor-critic updates
            steps_first_epoch=5_000,  # updates of epoch 1
            steps_per_epoch=400,  # updates of each later epoch
            batch_size=32,  # imagined environments over all devices
            grad_acc_steps=1,  # batches whose gradients are averaged into one update
            sample_weights=(0.1, 0.1, 0.1, 0.7),  # of as many age groups of episodes, oldest first; they sum to 1
        ),
        optimizer=dict(  # AdamW
            lr=1e-4,  # learning rate after the warm-up
            weight_decay=0.0,  # decoupled; of weights, not of biases, embeddings and most norms
            eps=1e-8,  # added to the root of Adam's second moment
            lr_warmup_steps=100,  # updates of linear warm-up from 0
            max_grad_norm=100.0,  # gradients of a larger global norm are scaled down to it
        ),
        loss=dict(  # REINFORCE with lambda-returns, value regression, entropy bonus
            backup_every=15,  # steps of a rollout
            gamma=0.985,  # discount
            lambda_=0.95,  # lambda of the lambda-returns
            weight_value_loss=1.0,  # factor of the value's squared error
            weight_entropy_loss=0.001,  # factor of the policy's entropy, in nats
        ),
    )


def world_model_env() -> dict:
    return dict(
        horizon=15,  # imagined steps after which an episode is cut off
        burn_in=0,  # steps before a start that memory and policy have seen; 0: L - 1, the paper's 3
        diffusion_sampler=dict(  # how a frame is drawn from noise (EDM, algorithm 2)
            num_steps_denoising=3,  # network calls per frame (order 1)
            sigma_min=2e-3,  # last noise level before 0
            sigma_max=5.0,  # first noise level
            rho=7.0,  # spacing of the noise levels (EDM, eq. 5); larger: shorter steps near sigma_min
            order=1,  # 1 Euler, 2 Heun
            s_churn=0.0,  # amount of fresh noise per step
            s_tmin=0.0,  # fresh noise only at sigmas of at least this
            s_tmax=1e6,  # fresh noise only at sigmas of at most this; inf: no limit
            s_noise=1.0,  # scale of the fresh noise
        ),
    )


def wandb() -> dict:
    return dict(
        mode="disabled",  # disabled, offline or online
        project="edeline-jax",  # the project that the run is listed in
        entity="",  # empty: your default
        name="",  # empty: chosen by wandb
        group="",  # a name for runs that belong together; empty: none
        tags=(),  # words to find the run by
        notes="",  # a longer description
    )


def diamond(config: ConfigDict) -> None:
    """DIAMOND (Alonso et al., NeurIPS 2024) in place of EDELINE, all else equal: what its memory is measured by."""
    config.agent.kind = "diamond"


def tiny(config: ConfigDict) -> None:
    """Runs the whole program on real frames in about 15 minutes on two CPU cores; far too short to play well."""
    config.env.update(num_envs=4, size=32)
    config.training.num_final_epochs = 0
    config.collection.update(num_steps_total=4_800, steps_per_epoch=400)
    config.collection.first_epoch.update(min=3_600, max=3_600)
    config.evaluation.update(every=2, num_episodes=4, num_final_episodes=8, num_steps_replay=400, num_batches=4)
    config.checkpointing.update(save_agent_every=1)
    inner = config.agent.denoiser.inner_model
    inner.update(cond_channels=64, depths=(1, 1, 1), channels=(16, 32, 32), attn_depths=(False, False, False))
    config.agent.recurrent_emb.update(channels=(16, 16, 32, 32), cond_channels=32)
    config.agent.recurrent_emb.mamba.update(d_model=128, n_layers=2)
    config.agent.rew_end_model.update(channels=(16, 16, 16), depths=(1, 1, 1), attn_depths=(False, False, False))
    config.agent.rew_end_model.update(cond_channels=32, lstm_dim=128)
    config.agent.actor_critic.update(channels=(8, 16, 16, 16), lstm_dim=128)
    config.world_model.training.update(steps_first_epoch=5_600, steps_per_epoch=200, batch_size=8)
    config.world_model.optimizer.lr = 5e-4
    config.world_model.loss.horizon = 6
    config.actor_critic.training.update(steps_first_epoch=40, steps_per_epoch=20, batch_size=16)


def quickstart(config: ConfigDict) -> None:
    """Learns to play Assault better than at random, in minutes on two CPU cores: 16 x 16 pixels, one-step sampler."""
    tiny(config)
    config.env.update(num_envs=16, size=16)
    config.collection.update(num_steps_total=40_000)
    config.collection.first_epoch.update(min=40_000, max=40_000)
    config.world_model_env.diffusion_sampler.num_steps_denoising = 1
    loss = config.world_model.loss
    loss.update(horizon=12, num_autoregressive_steps=0)
    loss.sigma_distribution.update(loc=1.4, scale=0.4)  # about the sigma of the only step
    evenly = (0.25, 0.25, 0.25, 0.25)  # all of the data are of one policy
    config.world_model.training.update(steps_first_epoch=3_000, sample_weights=evenly)
    config.world_model.optimizer.lr = 1e-3
    config.actor_critic.training.update(steps_first_epoch=300, sample_weights=evenly)
    config.actor_critic.optimizer.lr = 2e-3
    config.actor_critic.loss.weight_entropy_loss = 0.003


def example(config: ConfigDict) -> None:
    """What the agent that comes with the package was trained by: Boxing, two CPU cores, under two hours."""
    tiny(config)
    config.env.num_envs = 8
    config.agent.actor_critic.lstm_dim = 64  # the file of weights stays below 3 MB
    config.evaluation.every = 5
    config.collection.update(num_steps_total=60_000, steps_per_epoch=4_000)
    config.collection.first_epoch.update(min=40_000, max=40_000)
    # Two network calls per frame, both at sigmas where something is decided: 5 (what moves where) and 0.3 (its edges).
    config.world_model_env.diffusion_sampler.update(num_steps_denoising=2, sigma_min=0.3)
    loss = config.world_model.loss
    loss.update(horizon=8, num_autoregressive_steps=3)
    loss.sigma_distribution.update(loc=0.3, scale=1.1)
    weights = (0.2, 0.2, 0.2, 0.4)
    config.world_model.training.update(steps_first_epoch=6_000, steps_per_epoch=200, batch_size=16)
    config.world_model.training.sample_weights = weights
    config.world_model.optimizer.lr = 7e-4
    config.actor_critic.training.update(steps_first_epoch=300, steps_per_epoch=600, sample_weights=weights)
    config.actor_critic.optimizer.lr = 1e-3
    config.actor_critic.loss.weight_entropy_loss = 0.0003


FOR_EVERY_WORLD = {"diamond": diamond, "tiny": tiny}
PRESETS = FOR_EVERY_WORLD | {"quickstart": quickstart, "example": example}
