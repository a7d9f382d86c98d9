"""The update programs: per-device functions with sums over the devices, many updates per dispatch.

All random keys of updates are made here: `shared_key` is equal on all devices, `device_key` differs per device.

Where an update's steps lie in the replay depends on its number and the table of the episodes alone. So they are drawn
and read by the update itself, or beforehand for one update, [1, parts, ...], if the replay is on the host.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from edeline_jax.actor_critic.loss import actor_critic_loss
from edeline_jax.actor_critic.rollout import PolicyDraws, RolloutState, Trajectory, rollout
from edeline_jax.agent.networks import inference_weights
from edeline_jax.envs.outcome import Outcome
from edeline_jax.learning.lessons import teaching
from edeline_jax.learning.optimizer import (
    grad_norms,
    make_optimizer,
    make_world_model_optimizer,
    world_model_grad_norms,
)
from edeline_jax.learning.setup import Setup
from edeline_jax.learning.state import Learner, TrainState
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.sampling import Places, are_places, read, start_places
from edeline_jax.replay.segment import Segment, Steps, joined, segments
from edeline_jax.world_model import imagination
from edeline_jax.world_model.imagination import StepDraws
from edeline_jax.world_model.loss import BatchCounts, LossDraws

Metrics = dict[str, jax.Array]
Shares = tuple[Params, Metrics]  # one device's share of gradients and metrics; sums over devices are the batch's
Source = Any  # of the steps of updates: a `Replay`, or the steps of one update, a tree of `Steps`
Older = tuple[Source, Places | Steps] | None  # steps of starts before their last L, and what places are places in
# key, replay, update, part, setup -> a tree of `Places`
PlacesOf = Callable[[jax.Array, Replay, jax.Array, jax.Array, Setup], Any]


def train_world_model(
    state: TrainState, source: Source, num_updates: jax.Array, setup: Setup
) -> tuple[TrainState, Metrics]:
    """Runs `num_updates` world-model updates on segments of the replay; metrics are means, see `_repeat`."""
    c = setup.world_model
    optimizer = make_world_model_optimizer(setup.agent.world_model, c.optimizer)
    norms = functools.partial(world_model_grad_norms, setup.agent.world_model)
    parts = jnp.arange(c.num_parts)

    def update(learner: Learner) -> tuple[Learner, Metrics]:
        def shares(part: jax.Array) -> Shares:
            batch, draws = world_model_batch(state.key, source, learner.updates, part, setup)
            return world_model_gradients(learner.params, batch, draws, setup)

        return _step(learner, jax.lax.map(shares, parts), optimizer, norms, setup)

    learner, metrics = _repeat(update, state.world_model, num_updates)
    return state._replace(world_model=learner), metrics


def train_actor_critic(
    state: TrainState, source: Source, num_updates: jax.Array, setup: Setup
) -> tuple[TrainState, Metrics]:
    """Runs `num_updates` actor-critic updates in imagination; metrics are means, see `_repeat`."""
    c = setup.actor_critic
    optimizer = make_optimizer(c.optimizer)
    parts = jnp.arange(c.num_parts)
    world_model_params = inference_weights(setup.agent.world_model, state.world_model.params)

    def update(carry: tuple[Learner, RolloutState]) -> tuple[tuple[Learner, RolloutState], Metrics]:
        learner, stand = carry

        def shares(stand: RolloutState, part: jax.Array) -> tuple[RolloutState, Shares]:
            _, key = _keys(state.key, 1, learner.updates, part, setup)
            starts, older = _starts(source, state.key, learner.updates, part, setup)
            begin = _begin(stand, learner.updates + part == 0, world_model_params, starts, older, setup)
            policy_params = inference_weights(setup.agent.actor_critic, learner.params)
            restarts = jax.tree.map(lambda x: x[1:], starts)
            end, trajectory = imagine(policy_params, world_model_params, restarts, begin, key, setup, older)
            return end, actor_critic_gradients(learner.params, trajectory, begin.lstm, setup)

        stand, every = jax.lax.scan(shares, stand, parts)
        learner, metrics = _step(learner, every, optimizer, grad_norms, setup)
        return (learner, stand), metrics

    (learner, stand), metrics = _repeat(update, (state.actor_critic, state.rollout), num_updates)
    return state._replace(actor_critic=learner, rollout=stand), metrics


def world_model_gradients(params: Params, batch: Any, draws: LossDraws, setup: Setup) -> Shares:
    """This device's share of the batch's gradients and metrics; see `lessons.Teaching` for batches."""
    own = teaching(setup).count(batch, draws, setup)
    counts = BatchCounts(*setup.total((own.steps, own.targets)), setup.num_devices)
    with setup.agent.world_model.precision():
        return jax.grad(teaching(setup).loss, has_aux=True)(params, batch, draws, counts, setup)


def actor_critic_gradients(params: Params, trajectory: Trajectory, lstm: LSTMState, setup: Setup) -> Shares:
    """This device's share of the batch's gradients and metrics; `lstm` is the state at the trajectory's start."""
    network, loss = setup.agent.actor_critic, setup.actor_critic.loss
    with network.precision():
        means = jax.grad(actor_critic_loss, has_aux=True)(params, network, trajectory, lstm, loss, setup.reward_clip)
    return jax.tree.map(lambda x: x / setup.num_devices, means)


def apply_gradients(learner: Learner, grads: Params, optimizer: optax.GradientTransformation) -> Learner:
    """One optimizer step."""
    changes, opt_state = optimizer.update(grads, learner.opt_state, learner.params)
    params = optax.apply_updates(learner.params, changes)
    return Learner(params, opt_state, learner.updates + 1)


def world_model_batch(
    key: jax.Array, source: Source, update: jax.Array, part: jax.Array, setup: Setup
) -> tuple[Any, LossDraws]:
    """The batch and draws of one part of update number `update` (from 0); `key` is the run's."""
    batch = teaching(setup).batch(_steps(source, world_model_places, key, update, part, setup), setup)
    shared_key, device_key = _keys(key, 0, update, part, setup)
    _, loss_key = jax.random.split(device_key)
    return batch, teaching(setup).draw(shared_key, loss_key, batch, setup)


def world_model_places(key: jax.Array, replay: Replay, update: jax.Array, part: jax.Array, setup: Setup) -> Any:
    """Where the segments of one part of a world-model update lie, a tree of `Places`. Args: see `world_model_batch`."""
    _, device_key = _keys(key, 0, update, part, setup)
    segment_key, _ = jax.random.split(device_key)
    return teaching(setup).places(replay, segment_key, setup)


def actor_critic_places(key: jax.Array, replay: Replay, update: jax.Array, part: jax.Array, setup: Setup) -> Places:
    """The starts of one part of an actor-critic update, [1 + backup_every, B, K + 1]: the first, then every step's.

    Only the very first part begins with the first ones. Args: see `world_model_batch`.
    """
    c = setup.actor_critic
    _, key = _keys(key, 1, update, part, setup)
    _, step_keys = _rollout_keys(key, setup)
    keys = jnp.concatenate([jax.random.fold_in(key, 0)[None], jax.vmap(jax.random.split)(step_keys)[:, 1]])

    def starts(key: jax.Array) -> Places:
        lengths = setup.context, setup.burn_in + 1
        return start_places(replay, key, setup.share(c.batch_size), *lengths, c.sample_weights)

    return jax.vmap(starts)(keys)  # a loop would launch the many small kernels once per step


def begin_imagining(params: Params, start: Segment, setup: Setup) -> RolloutState:
    """The beginning of the first rollout: the memory burnt in, the LSTM at zeros. `params`: of the world model."""
    env, h = imagination.reset_with_h(params, setup.agent.world_model, start)
    obs = imagination.observe(env.frames[:, -1], h if h is None else h[:, -1])
    return RolloutState(obs, setup.agent.actor_critic.init_state(len(start.mask)), env)


def imagine(
    params: Params,
    world_model_params: Params,
    restarts: Steps,
    begin: RolloutState,
    key: jax.Array,
    setup: Setup,
    older: Older = None,
) -> tuple[RolloutState, Trajectory]:
    """One rollout of `backup_every` steps in the world model.

    Args:
      params, world_model_params: of the policy and of the world model.
      restarts: the last L steps of its fresh starts, [backup_every, B, L].
      begin: where it begins.
      key: consumed.
      older: the steps before those, [1 + backup_every, B, K + 1 - L], as they are drawn for the first start, too; they
        are read only for the environments that restart. None: there are none.
    """
    model = setup.agent.world_model
    source, before = older or (None, None)

    def env_step(state: Any, action: jax.Array, drawn: tuple[StepDraws, Segment, Any]) -> tuple[Any, Outcome]:
        *drawn, before = drawn
        look_back = before and jax.tree_util.Partial(_read_older(setup), source, before)
        return imagination.step(world_model_params, model, state, action, *drawn, setup.world_model_env, look_back)

    policy = draw_rollout(key, setup)
    # of all steps at once: the many small kernels of a GPU's draws then run once per rollout
    drawn = jax.vmap(lambda key, start: draw_env_step(key, start, setup))(policy.env, restarts)
    drawn = *drawn, jax.tree.map(lambda x: x[1:], before)
    return rollout(params, setup.agent.actor_critic, env_step, begin, policy._replace(env=drawn))


def draw_rollout(key: jax.Array, setup: Setup) -> PolicyDraws:
    """Noise for the actions of one rollout, and a key per step of the environments; see `draw_env_step`."""
    action_key, step_keys = _rollout_keys(key, setup)
    shape = (len(step_keys), setup.share(setup.actor_critic.batch_size), setup.agent.actor_critic.num_actions)
    return PolicyDraws(jax.random.gumbel(action_key, shape), step_keys)


def draw_env_step(key: jax.Array, start: Steps, setup: Setup) -> tuple[StepDraws, Segment]:
    """Draws one imagined step's noise; also returns the starts for the environments that end. The key is consumed."""
    draw_key, _ = jax.random.split(key)  # the other one draws the start
    batch_size = setup.share(setup.actor_critic.batch_size)
    draws = imagination.draw_step(draw_key, setup.frame_shape, batch_size, setup.world_model_env)
    return draws, segments(start, setup.frame_shape)


def _steps(
    source: Source, places_of: PlacesOf, key: jax.Array, update: jax.Array, part: jax.Array, setup: Setup
) -> Any:
    """The steps of one part of an update, a tree of `Steps`."""
    if not isinstance(source, Replay):
        return jax.tree.map(lambda x: x[0, part], source)
    places = places_of(key, source, update, part, setup)
    return jax.tree.map(lambda places: read(source, places), places, is_leaf=are_places)


def _starts(source: Source, key: jax.Array, update: jax.Array, part: jax.Array, setup: Setup) -> tuple[Steps, Older]:
    """The last L steps of the starts of `actor_critic_places`, and what is older."""
    length = setup.burn_in + 1 - setup.context
    if length == 0:
        return _steps(source, actor_critic_places, key, update, part, setup), None
    if isinstance(source, Steps):
        whole = jax.tree.map(lambda x: x[0, part], source)
        older, newer = (jax.tree.map(lambda x, side=side: x[:, :, side], whole) for side in _sides(length))
        return newer, (source, older)
    whole = actor_critic_places(key, source, update, part, setup)
    older, newer = (whole._replace(index=whole.index[..., i], mask=whole.mask[..., i]) for i in _sides(length))
    return read(source, newer), (source, older)


def _sides(length: int) -> tuple[slice, slice]:
    """The first `length` steps, and the others."""
    return slice(length), slice(length, None)


@functools.cache
def _read_older(setup: Setup) -> Callable[[Source, Places | Steps, jax.Array], Segment]:
    """The function (source, older [B, ...], rows [k]) -> their steps [k, K + 1 - L]; see `Outcome.older`."""

    def read_older(source: Source, older: Places | Steps, rows: jax.Array) -> Segment:
        chosen = jax.tree.map(lambda x: x[rows], older)
        return segments(read(source, chosen) if isinstance(chosen, Places) else chosen, setup.frame_shape)

    return read_older


def _begin(
    stand: RolloutState, is_first: jax.Array, params: Params, starts: Steps, older: Older, setup: Setup
) -> RolloutState:
    """The state in which a rollout begins: the end of the last one, or for the first one, the first starts."""

    def begin() -> RolloutState:
        start = segments(jax.tree.map(lambda x: x[0], starts), setup.frame_shape)
        if older is not None:
            source, before = older
            rows = jnp.arange(len(start.mask))
            start = joined(_read_older(setup)(source, jax.tree.map(lambda x: x[0], before), rows), start)
        return begin_imagining(params, start, setup)

    return jax.lax.cond(is_first, begin, lambda: stand)


def _rollout_keys(key: jax.Array, setup: Setup) -> tuple[jax.Array, jax.Array]:
    """(key of the actions, keys of the steps [backup_every]) of one rollout."""
    action_key, env_key = jax.random.split(jax.random.fold_in(key, 1))
    return action_key, jax.random.split(env_key, setup.actor_critic.loss.backup_every)


def _keys(key: jax.Array, stream: int, update: jax.Array, part: jax.Array, setup: Setup) -> tuple[jax.Array, jax.Array]:
    """(shared key, device key) of one part of one update; `stream` is 0 for the world model, 1 for the actor-critic."""
    for number in (stream, update, part):
        key = jax.random.fold_in(key, number)
    shared_key, device_key = jax.random.split(key)
    return shared_key, jax.random.fold_in(device_key, setup.device)


def _step(
    learner: Learner,
    shares: Shares,
    optimizer: optax.GradientTransformation,
    norms: Callable[[Params], Metrics],
    setup: Setup,
) -> tuple[Learner, Metrics]:
    """One optimizer step with gradients [parts, ...] averaged over parts, then summed over devices in one reduction."""
    grads, metrics = setup.total(jax.tree.map(lambda x: x.astype(jnp.float32).mean(0), shares))
    return apply_gradients(learner, grads, optimizer), {**metrics, **norms(grads)}


def _repeat(update: Callable[[Any], tuple[Any, Metrics]], carry: Any, num_updates: jax.Array) -> tuple[Any, Metrics]:
    """Runs `update` up to `num_updates` times.

    `num_updates` is a traced value, so that one program serves every length. Returns the carry, and the mean of each
    metric over the updates that ran together with their number as `num_updates`. Stops after the first update with a
    metric that is not finite; the mean of that metric is then not finite either.
    """
    shapes = jax.eval_shape(lambda: update(carry)[1])
    totals = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    def finite(totals: Metrics) -> jax.Array:
        return jnp.all(jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(totals)]))

    def goes_on(loop: tuple) -> jax.Array:
        done, _, totals = loop
        return (done < num_updates) & finite(totals)

    def body(loop: tuple) -> tuple:
        done, carry, totals = loop
        carry, metrics = update(carry)
        return done + 1, carry, jax.tree.map(jnp.add, totals, metrics)

    done, carry, totals = jax.lax.while_loop(goes_on, body, (jnp.zeros((), jnp.int32), carry, totals))
    return carry, {**jax.tree.map(lambda x: x / jnp.maximum(done, 1), totals), "num_updates": done}
