"""A replay on the host: the same batches as from one on the devices, and the updates that learn from them."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from edeline_jax.acting.replay_keeper import ReplayKeeper, empty_replay
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import Config, pour
from edeline_jax.dataset.journal import Journal
from edeline_jax.learning import updates
from edeline_jax.learning.drawing import Drawer
from edeline_jax.learning.programs import HostUpdateProgram, UpdateProgram
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import TrainState
from edeline_jax.replay.buffer import REPLAY_SPEC, Replay
from edeline_jax.replay.chunk import Chunk
from edeline_jax.replay.frame import to_float
from edeline_jax.replay.host import is_on_host
from edeline_jax.replay.sampling import read
from edeline_jax.replay.segment import Segment, Steps, segments, segments_with_finals
from edeline_jax.runtime.devices import AXIS, lift, make_mesh
from tests.tiny_config import get_config

KEY = jax.random.key(3)
STREAMS, STEPS, PARTS = 4, 26, 2


def config(placement: str, kind: str = "edeline", burn_in: int = 0) -> Config:
    values = get_config()
    values.agent.kind = kind
    values.world_model.loss.burn_in = burn_in
    values.env.num_envs, values.replay.placement = STREAMS, placement
    values.collection.update(num_steps_total=STREAMS * STEPS, steps_per_epoch=28)
    values.collection.first_epoch.update(min=1, max=2)
    for group in (values.world_model, values.actor_critic):
        group.training.grad_acc_steps = PARTS
    return pour(values, 2)


def chunks() -> list[Chunk]:
    """Streams in parts of 7 and 19 steps: episodes of one step, of a few and of many, ends and time limits.

    No two steps are alike.
    """
    rng, over = np.random.default_rng(0), np.zeros((STREAMS, 26), bool)
    for stream, places in enumerate(([0, 1, 4, 15], [20], [], [2, 3, 5, 8, 9, 24])):
        over[stream, places] = True
    ends = over & (np.arange(26) % 2 == 0)
    starts = np.concatenate([np.ones((STREAMS, 1), bool), over[:, :-1]], 1)
    whole = Chunk(
        rng.integers(0, 256, (STREAMS, 26, 20, 20, 3), np.uint8),
        rng.integers(0, 3, (STREAMS, 26), np.int32),
        rng.normal(size=(STREAMS, 26)).astype(np.float32),
        ends,
        over & ~ends,
        starts,
        starts,
    )
    finals = rng.integers(0, 256, whole.frames.shape, np.uint8)
    whole = whole._replace(finals=np.where(ends[..., None, None, None], finals, 0))
    return [jax.tree.map(lambda x, part=part: x[:, part], whole) for part in (slice(0, 7), slice(7, None))]


def filled(c: Config, mesh: Mesh, folder: Path) -> Replay:
    """As a run fills it."""
    keeper = ReplayKeeper(c, mesh, Journal(folder / c.replay.placement, STREAMS, (20, 20, 3)), STEPS)
    replay = keeper.restore(empty_replay(c, mesh, STEPS, str(folder)), 0)
    for chunk in chunks():
        replay = keeper.add(replay, chunk)
    return replay


def assert_ends_lead_to_finals(steps: Steps) -> None:
    """In segments [B, T]."""
    whole = jax.tree.map(lambda *parts: np.concatenate(parts, 1), *chunks())
    frames, places = segments_with_finals(steps, (20, 20, 3)).frames, np.argwhere((steps.mask & steps.ends)[:, :-1])
    assert len(places)
    for row, t in places:
        (place,) = np.argwhere(whole.rewards == steps.rewards[row, t])
        np.testing.assert_allclose(frames[row, t + 1], to_float(whole.finals[tuple(place)]), atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "network", "burn_in"),
    [
        ("edeline", "world_model", 0),
        ("edeline", "world_model", 7),
        ("edeline", "actor_critic", 0),
        ("diamond", "world_model", 0),
    ],
)
@pytest.mark.parametrize("devices", [1, 2])
def test_equal_keys_give_equal_batches(kind: str, network: str, burn_in: int, devices: int, tmp_path: Path) -> None:
    """Bit for bit, every part of the updates on every device; episodes are as short as a step.

    DIAMOND's have what the ends led to.
    """
    c, mesh = config("device", kind, burn_in), make_mesh(jax.devices()[:devices])
    setup = make_setup(build_agent(c, 3), c, AXIS)
    places_of = getattr(updates, f"{network}_places")

    def per_device(key: jax.Array, source: updates.Source, update: jax.Array) -> Steps:
        parts = [updates._steps(source, places_of, key, update, part, setup) for part in range(PARTS)]
        return jax.tree.map(lambda *x: jnp.stack(x)[None], *parts)

    def seen(source: updates.Source, update: int) -> Steps:
        return lift(per_device, mesh, (P(), REPLAY_SPEC, P()), REPLAY_SPEC, donate=())(KEY, source, update)

    on_devices, on_host = filled(c, mesh, tmp_path), filled(config("host", kind, burn_in), mesh, tmp_path)
    assert is_on_host(on_host) and not is_on_host(on_devices)
    drawer = Drawer(places_of, PARTS, setup, mesh)
    masks = []
    for update in (0, 1, 17):
        expected = seen(on_devices, update)
        got = seen(drawer.send(on_host, drawer.draw(KEY, on_host, update)), update)
        jax.tree.map(np.testing.assert_array_equal, got, expected)
        assert [x.dtype for x in jax.tree.leaves(got)] == [x.dtype for x in jax.tree.leaves(expected)]
        one = expected if isinstance(expected, Steps) else expected.outcomes
        if one is not expected:
            assert_ends_lead_to_finals(jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[3:]), one))
        masks.append(np.asarray(one.mask))
        assert len({part.tobytes() for part in np.asarray(one.frames).reshape(devices * PARTS, -1)}) > 1
    assert not np.stack(masks).all() and len({mask.tobytes() for mask in masks}) == 3  # some hang over, all differ
    shape = drawer.shapes(KEY, on_host)
    sent = drawer.send(on_host, drawer.draw(KEY, on_host, 0))
    assert jax.tree.map(lambda x: (x.shape, x.dtype), shape) == jax.tree.map(lambda x: (x.shape, x.dtype), sent)


def test_what_is_older_in_long_starts_is_read_from_both_replays(tmp_path: Path) -> None:
    """The last L steps are those of the start, and the rows that are asked for have the steps before them."""
    c = config("device")
    c, mesh = (
        dataclasses.replace(c, world_model_env=dataclasses.replace(c.world_model_env, burn_in=9)),
        make_mesh(jax.devices()[:1]),
    )
    setup = make_setup(build_agent(c, 3), c)
    on_device, on_host = filled(c, mesh, tmp_path), filled(config("host"), mesh, tmp_path)
    drawer, rows = Drawer(updates.actor_critic_places, PARTS, setup._replace(axis=AXIS), mesh), jnp.arange(8)[::-1]

    @jax.jit
    def seen(source: updates.Source) -> tuple[Steps, Segment]:
        starts, (source_of_older, older) = updates._starts(source, KEY, 5, 1, setup)
        at = jax.tree.map(lambda x: x[3], older)
        return starts, updates._read_older(setup)(source_of_older, at, rows)

    starts, older = seen(on_device)
    got = seen(drawer.send(on_host, drawer.draw(KEY, on_host, 5)))
    jax.tree.map(np.testing.assert_array_equal, got, (starts, older))
    whole = read(on_device, updates.actor_critic_places(KEY, on_device, 5, 1, setup))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[:, :, -setup.context :]), starts, whole)
    before = jax.tree.map(lambda x: x[3, rows, : -setup.context], whole)
    expected = segments(before, setup.frame_shape)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), older, expected)
    assert older.mask.shape == (8, 10 - setup.context) and 0 < older.mask.sum() < older.mask.size


def test_both_replays_hold_the_same(tmp_path: Path) -> None:
    """Up to the end, which the last part of a chunk reaches beyond where it is filled up for the devices."""
    mesh = make_mesh(jax.devices()[:2])
    on_devices, on_host = (filled(config(placement), mesh, tmp_path) for placement in ("device", "host"))
    for name in Replay._fields:
        np.testing.assert_array_equal(getattr(on_host, name), getattr(on_devices, name), err_msg=name)


def watch(state: TrainState, source: updates.Source, num_updates: jax.Array, setup: updates.Setup) -> tuple:
    """An "update" whose metric is what it sees in its steps; it is not finite in update 5."""

    def update(number: jax.Array) -> tuple[jax.Array, dict]:
        steps = updates._steps(source, updates.world_model_places, state.key, number, 0, setup)
        seen = steps.rewards.sum() + steps.actions.sum()
        return number + 1, {"seen": jax.lax.psum(jnp.where(number == 5, jnp.nan, seen), AXIS)}

    number, metrics = updates._repeat(update, state.world_model, num_updates)
    return state._replace(world_model=number), metrics


@pytest.mark.parametrize("lengths", [(1, 1, 1, 1), (4,), (3, 1)])
def test_updates_see_the_same_however_many_are_in_a_dispatch(lengths: tuple[int, ...], tmp_path: Path) -> None:
    seen = {placement: watched(placement, lengths, tmp_path) for placement in ("device", "host")}
    assert [n for n, _ in seen["host"]] == list(lengths)
    np.testing.assert_allclose([x for _, x in seen["host"]], [x for _, x in seen["device"]], rtol=1e-6)


def test_updates_stop_after_the_first_metric_that_is_not_finite(tmp_path: Path) -> None:
    """Update 5, of a dispatch of 9."""
    (number, seen), *_ = watched("host", (9,), tmp_path)
    assert number == 6 and np.isnan(seen)


def watched(placement: str, lengths: tuple[int, ...], folder: Path) -> list[tuple[int, float]]:
    """The first dispatches of `watch`: number of updates and what they saw, on average."""
    c, mesh = config(placement), make_mesh(jax.devices()[:2])
    setup = make_setup(build_agent(c, 3), c, AXIS)
    if placement == "host":
        drawer = Drawer(updates.world_model_places, PARTS, setup, mesh)
        program = HostUpdateProgram(watch, drawer, lambda state: state.world_model, setup, mesh)
    else:
        program = UpdateProgram(watch, setup, mesh)
    left = iter(lengths)
    program.pace.length = lambda: next(left)
    replay = filled(c, mesh, folder)
    state = TrainState(jnp.zeros((), jnp.int32), jnp.zeros(()), jnp.zeros(2), jax.random.key(3))
    dispatches = program.run(state, replay, sum(lengths))
    return [(each.num_updates, float(each.metrics["seen"])) for _, each in zip(lengths, dispatches, strict=False)]
