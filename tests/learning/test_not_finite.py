"""What is kept for whoever looks into a loss that is not finite."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.agent.networks import build_agent
from edeline_jax.learning.not_finite import keep_batch
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.updates import world_model_batch
from edeline_jax.replay.buffer import Replay
from edeline_jax.runtime.devices import AXIS, make_mesh
from edeline_jax.world_model.imagination import ImaginationState
from tests.learning.test_updates import CONFIG, KEY, PARTS, SETUP, replay, state

MESH = make_mesh(jax.devices()[:1])


@pytest.mark.parametrize(("kind", "placement"), [("edeline", "device"), ("edeline", "host"), ("diamond", "host")])
def test_the_segments_of_the_latest_update_are_kept(kind: str, placement: str, tmp_path: Path) -> None:
    """Of the third, number 2: every part, as the update itself drew them; DIAMOND has segments for two networks."""
    config = dataclasses.replace(CONFIG, agent=dataclasses.replace(CONFIG.agent, kind=kind))
    setup = make_setup(build_agent(config, 3), config)
    before = state()
    after = before._replace(world_model=before.world_model._replace(updates=jnp.array(3)))
    source = replay()
    if placement == "host":
        source = Replay(*map(np.asarray, source[:4]), *source[4:])
    keep_batch(tmp_path / "batch.npz", "world_model", after, source, setup._replace(axis=AXIS), MESH)
    draw = jax.jit(lambda part: world_model_batch(KEY, replay(), 2, part, setup)[0])
    with np.load(tmp_path / "batch.npz") as kept:
        for part in range(PARTS):
            for path, x in jax.tree_util.tree_leaves_with_path(draw(part)):
                name = jax.tree_util.keystr(path, simple=True, separator="_")
                np.testing.assert_allclose(kept[name][part], x, rtol=1e-6, err_msg=name)


def test_the_imagined_frames_are_kept(tmp_path: Path) -> None:
    before = state()
    env = ImaginationState(frames=jnp.arange(6.0).reshape(1, 6), memory=(), age=jnp.array([4]))
    stand = before._replace(rollout=before.rollout._replace(env=env))
    keep_batch(tmp_path / "batch.npz", "actor_critic", stand, replay(), SETUP, MESH)
    with np.load(tmp_path / "batch.npz") as kept:
        np.testing.assert_array_equal(kept["frames"], env.frames)
        np.testing.assert_array_equal(kept["age"], env.age)
