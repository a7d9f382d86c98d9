"""What h is worth to a policy: the cue of Recall, long after it was seen."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs.recall import get_config
from edeline_jax.actor_critic.network import burn_in
from edeline_jax.agent.networks import build_agent, init_params
from edeline_jax.config import pour
from edeline_jax.envs.in_jit import reset_all, step_all
from edeline_jax.envs.observation import Observation
from edeline_jax.envs.recall import Recall
from edeline_jax.replay.frame import to_float

DELAY, GAMES, UPDATES = 8, 128, 60


def games(seed: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Frames [N, DELAY + 1, H, W, 3] up to the doors, random actions, and the cues [N]."""
    world = Recall(8, DELAY, DELAY)
    key = jax.random.key(seed)
    actions = jax.random.randint(jax.random.fold_in(key, 0), (DELAY + 1, GAMES), 0, 2)

    def step(carry: tuple, action: jax.Array) -> tuple:
        frames, state = carry
        _, *carry = step_all(world, key, state, action)
        return tuple(carry), frames

    begin = reset_all(world, jax.random.fold_in(key, 1), GAMES)
    frames = jax.lax.scan(step, begin, actions)[1]
    return to_float(frames).swapaxes(0, 1), actions.T, begin[1].cue


@pytest.mark.ci
@pytest.mark.optimized
@pytest.mark.parametrize(("inputs", "low", "high"), [("frames", 0.3, 0.7), ("frames_and_h", 0.95, 1.0)])
def test_a_policy_that_sees_h_knows_a_cue_that_its_lstm_has_not_seen(inputs: str, low: float, high: float) -> None:
    """At the doors, with the LSTM burnt in on 3 frames, and h of a memory that has learnt nothing."""
    values = get_config("recall_16")
    values.agent.actor_critic.inputs = inputs
    values.agent.recurrent_emb.update(memory="transformer", window=16)
    config = pour(values)
    agent = build_agent(config, 2)
    params = init_params(agent, config.frame_shape, jax.random.key(0))
    model, network = agent.world_model, agent.actor_critic

    def seen(seed: int) -> tuple:
        frames, actions, cues = games(seed)
        h = model.apply(params["world_model"], frames, actions, model.init_memory(GAMES), method="embed")[0]
        h = jnp.pad(h, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        obs = Observation(frames, h) if inputs == "frames_and_h" else frames
        return jax.tree.map(lambda x: x[:, -4:], obs), cues

    def logits(weights: dict, obs: jax.Array | Observation) -> jax.Array:
        lstm = burn_in(weights, network, jax.tree.map(lambda x: x[:, :-1], obs))
        return network.apply(weights, jax.tree.map(lambda x: x[:, -1], obs), lstm)[0]

    def loss(weights: dict, obs: jax.Array | Observation, cues: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(logits(weights, obs), cues).mean()

    optimizer = optax.adam(3e-3)

    @jax.jit
    def learn(weights: dict) -> tuple[jax.Array, jax.Array]:
        known, asked = seen(0), seen(1)

        def update(carry: tuple, _: None) -> tuple:
            weights, state = carry
            changes, state = optimizer.update(jax.grad(loss)(weights, *known), state)
            return (optax.apply_updates(weights, changes), state), None

        (weights, _), _ = jax.lax.scan(update, (weights, optimizer.init(weights)), length=UPDATES)
        return logits(weights, asked[0]).argmax(-1) == asked[1], asked[1]

    right, cues = learn(params["actor_critic"])
    assert 0.4 < np.mean(cues) < 0.6
    assert low <= np.mean(right) <= high
