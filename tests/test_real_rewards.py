"""A choice between 0.1 for sure and 1 half of the time: by signs the worse one is better, by values it is not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from edeline_jax.actor_critic.loss import actor_critic_loss
from edeline_jax.actor_critic.rollout import Trajectory
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.learning import updates
from edeline_jax.learning.setup import make_setup
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.nn.params import draw_params
from edeline_jax.replay.reward import HEADS
from edeline_jax.world_model.heads import RewEndModel
from tests.tiny_config import get_config

CONFIG = pour(get_config()).actor_critic.loss
SURE, RISKY, B = 0, 1, 64  # actions, and steps of a batch


class Choice:
    """A policy of two logits and a value; it sees nothing."""

    def init_state(self, batch: int) -> LSTMState:
        return LSTMState(jnp.zeros((batch, 1)), jnp.zeros((batch, 1)))

    def apply(self, params: dict, *inputs: jax.Array, method: str) -> jax.Array | tuple:
        if method == "encode":
            return jnp.zeros((len(inputs[0]), 1))
        _, state = inputs
        n = len(state.hx)
        return jnp.broadcast_to(params["logits"][None], (n, 2)), jnp.broadcast_to(params["value"], n), state


def rewards_of(actions: jax.Array, key: jax.Array) -> jax.Array:
    """The real ones."""
    return jnp.where(actions == SURE, 0.1, jax.random.bernoulli(key, 0.5, actions.shape).astype(jnp.float32))


def learnt_head(kind: str) -> tuple[RewEndModel, dict]:
    """A reward head after 300 updates on random actions; h says the action."""
    head = RewEndModel(jnp.float32, HEADS[kind])
    params = jax.tree.map(jnp.asarray, draw_params(head, [0], jnp.zeros((1, 8))))
    optimizer = optax.adam(0.02)

    def loss(params: dict, key: jax.Array) -> jax.Array:
        action_key, reward_key = jax.random.split(key)
        actions = jax.random.randint(action_key, (B,), 0, 2)
        logits, _ = head.apply(params, jax.nn.one_hot(actions, 8))
        return head.reward.loss(logits, rewards_of(actions, reward_key)).mean()

    def update(carry: tuple, key: jax.Array) -> tuple:
        params, state = carry
        changes, state = optimizer.update(jax.grad(loss)(params, key), state)
        return (optax.apply_updates(params, changes), state), None

    begin = params, optimizer.init(params)
    keys = jax.random.split(jax.random.key(1), 300)
    return head, jax.jit(lambda begin: jax.lax.scan(update, begin, keys)[0][0])(begin)


def preference(kind: str, clip: str) -> np.ndarray:
    """The probabilities of both actions after 400 updates of policy and value in games of one imagined step."""
    head, head_params = learnt_head(kind)
    network, optimizer = Choice(), optax.adam(0.02)
    params = {"logits": jnp.zeros(2), "value": jnp.zeros(())}
    zero, ended = jnp.zeros((1, B)), jnp.ones((1, B), bool)
    frames = jnp.zeros((1, B, 1, 1, 1))

    def update(carry: tuple, key: jax.Array) -> tuple:
        params, state = carry
        action_key, reward_key = jax.random.split(key)
        actions = jax.random.categorical(action_key, params["logits"], shape=(1, B))
        logits, _ = head.apply(head_params, jax.nn.one_hot(actions, 8))
        rewards = head.reward.imagine(logits, jax.random.gumbel(reward_key, (1, B, 3)))
        stored = Trajectory(
            obs=frames,
            actions=actions,
            rewards=rewards,
            ends=ended,
            truncations=~ended,
            dead=ended,
            burn_in=jnp.zeros((1, B, 0, 1, 1, 1)),
            logits=jnp.zeros((1, B, 2)),
            values=zero,
            bootstraps=zero,
        )
        lstm = network.init_state(B)
        gradient = jax.grad(lambda p: actor_critic_loss(p, network, stored, lstm, CONFIG, clip)[0])(params)
        changes, state = optimizer.update(gradient, state)
        return (optax.apply_updates(params, changes), state), None

    begin = params, optimizer.init(params)
    keys = jax.random.split(jax.random.key(2), 400)
    (params, _), _ = jax.jit(lambda begin: jax.lax.scan(update, begin, keys))(begin)
    return np.asarray(jax.nn.softmax(params["logits"]))


@pytest.mark.parametrize(("kind", "clip", "taken"), [("sign", "sign", SURE), ("twohot", "none", RISKY)])
def test_values_of_rewards_are_learnt_where_signs_say_the_opposite(kind: str, clip: str, taken: int) -> None:
    assert preference(kind, clip)[taken] > 0.9


def test_an_agent_has_the_head_and_the_clipping_that_its_config_names(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = lambda params, network, trajectory, lstm, config, clip: (params, {"clipped": clip == "sign"})  # noqa: E731
    monkeypatch.setattr(updates, "actor_critic_loss", counted)
    for head, clip in (("sign", "sign"), ("twohot", "none")):
        values = get_config()
        values.reward.update(head=head, clip=clip)
        config = pour(values)
        agent = build_agent(config, 3)
        assert agent.world_model.reward is HEADS[head]
        _, metrics = updates.actor_critic_gradients(jnp.zeros(()), None, None, make_setup(agent, config))
        assert metrics["clipped"] == (clip == "sign")


def test_a_new_head_expects_nothing() -> None:
    head = RewEndModel(jnp.float32, HEADS["twohot"])
    params = draw_params(head, [0], jnp.zeros((1, 8)))
    logits, end_logits = head.apply(params, np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32))
    assert (head.reward.imagine(logits, None) == 0).all() and (end_logits != 0).all()


def test_the_head_knows_the_expected_rewards() -> None:
    head, params = learnt_head("twohot")
    logits, _ = head.apply(params, jnp.eye(2, 8))
    got = head.reward.imagine(logits, None)
    assert got[SURE] == pytest.approx(0.1, abs=0.02) and got[RISKY] == pytest.approx(0.5, abs=0.06)
