"""What a run pays for the dispatches of an update program, whatever the program computes."""

import jax
import jax.numpy as jnp
import pytest

from edeline_jax.learning.programs import Dispatch, Pace, UpdateProgram
from edeline_jax.learning.state import STATE_SPEC, TrainState
from edeline_jax.replay.buffer import REPLAY_SPEC, Replay, init_replay
from edeline_jax.runtime.devices import make_mesh, shardings
from tests.runs import PROGRAM

MESH, STEPS = make_mesh(), 3  # in the replay of each device
LENGTHS = ((1, 2), (5,))  # of the dispatches of two epochs


def count(state: TrainState, replay: Replay, num_updates: jax.Array, setup: None) -> tuple[TrainState, dict]:
    """Counts the steps that are seen if every update sees a device's whole replay."""
    seen = num_updates * replay.actions.size
    return state._replace(world_model=state.world_model + seen), {"seen": seen, "num_updates": num_updates}


def on_devices() -> tuple[TrainState, Replay]:
    state = TrainState(*jnp.zeros(2, jnp.int32), jnp.zeros(MESH.size), jax.random.key(0))
    trees = state, init_replay(MESH.size, STEPS, 12, MESH.size)
    return jax.device_put(trees, shardings(MESH, (STATE_SPEC, REPLAY_SPEC), trees))


def test_a_program_compiles_once_and_takes_nothing_from_the_host_unsaid(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However many updates go into a dispatch, and however many epochs there are."""
    lengths = iter(n for epoch in LENGTHS for n in epoch)
    monkeypatch.setattr(Pace, "length", lambda pace: next(lengths))
    program = UpdateProgram(count, None, MESH)
    state, replay = on_devices()
    dispatches: list[Dispatch] = []
    for epoch in LENGTHS:
        with jax.transfer_guard("disallow"), jax.log_compiles():
            dispatches += program.run(state, replay, sum(epoch))
        state = dispatches[-1].state
    assert PROGRAM.findall(caplog.text) == ["per_device"]
    assert [dispatch.num_updates for dispatch in dispatches] == [1, 2, 5]
    assert [dispatch.metrics["seen"] for dispatch in dispatches] == [STEPS, 2 * STEPS, 5 * STEPS]
    assert state.world_model == 8 * STEPS
