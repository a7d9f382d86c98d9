"""How many updates go into a dispatch, and that together they are as many as were asked for."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.learning.programs import Pace, UpdateProgram
from edeline_jax.learning.state import TrainState
from edeline_jax.replay.buffer import init_replay
from edeline_jax.runtime.devices import make_mesh

KEY = jax.random.key(0)


def test_a_dispatch_takes_some_seconds_and_at_least_one_update() -> None:
    pace, lengths = Pace(), []
    for seconds, num_updates in ((0.25, 1), (6.0, 20), (40.0, 4)):  # 0.25, 0.3 and 10 seconds per update
        lengths.append(pace.length())
        pace.count(seconds, num_updates)
    assert [*lengths, pace.length()] == [1, 20, 16, 1]
    assert pace.num_dispatches == 3 and pace.seconds_per_update == 10.0


def test_dispatches_are_as_many_updates_as_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def function(state: TrainState, replay: Any, num_updates: jax.Array, setup: None) -> tuple[TrainState, dict]:
        done = state.world_model + num_updates
        return state._replace(world_model=done), {"done": done, "num_updates": num_updates}

    def state() -> TrainState:
        return TrainState(jnp.array(100), jnp.array(0), jnp.zeros(1), KEY)

    program, replay = UpdateProgram(function, None, make_mesh(jax.devices()[:1])), init_replay(1, 1, 1)
    monkeypatch.setattr(program.pace, "length", lambda: 4)
    dispatches = list(program.run(state(), replay, 10))
    assert [dispatch.num_updates for dispatch in dispatches] == [4, 4, 2]
    np.testing.assert_array_equal([dispatch.metrics["done"] for dispatch in dispatches], [104, 108, 110])
    assert dispatches[-1].state.world_model == 110 and program.pace.num_dispatches == 3
