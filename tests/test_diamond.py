"""DIAMOND by a flag: runs, resumes, several devices, weights in files, and what it is refused."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.agent.networks import build_agent
from edeline_jax.agent.trained import load
from edeline_jax.agent.weights import read_agent, read_weights, write_weights
from edeline_jax.config import pour
from edeline_jax.evaluation.exam import evaluate
from edeline_jax.evaluation.probes import FEWEST_GAMES
from edeline_jax.evaluation.probing import probe
from edeline_jax.evaluation.rounds import Plan
from edeline_jax.learning.lessons import DIAMOND, teaching
from edeline_jax.learning.setup import make_setup
from edeline_jax.replay.segment import Segment
from edeline_jax.runtime.errors import ConfigError, UserError
from edeline_jax.world_model.diamond_loss import Lessons
from tests.in_process import stopped_like_straight, train_here
from tests.random_params import random_params
from tests.runs import RECORDED, summary
from tests.tiny_config import get_config

KIND = {"agent.kind": "diamond"}


@pytest.mark.ci
def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a static dataset; the interrupted run dispatches its updates one by one, the other one many at once.

    Then its agent is converted, imagines as before, and is refused where a memory is wanted.
    """
    changes = RECORDED | KIND | {"collection.path_to_static_dataset": str(dataset)}
    stopped_like_straight(tmp_path, changes, monkeypatch)
    assert summary(tmp_path / "straight")["world_model_test"]["loss_denoising"] > 0

    file = tmp_path / "agent.safetensors"
    write_weights(file, read_agent(tmp_path / "straight"))
    tensors = read_weights(file).tensors
    assert {name.split(".")[0] for name in tensors} == {"denoiser", "rew_end_model", "actor_critic"}
    rng = np.random.default_rng(0)
    frames, actions = rng.integers(0, 256, (2, 5, 20, 20, 3), np.uint8), rng.integers(0, 3, (2, 7))
    dreams = [load(path).imagine(frames, actions) for path in (tmp_path / "straight", file)]
    for one, other in zip(*dreams, strict=True):
        np.testing.assert_array_equal(one, other)
    assert dreams[0][0].shape == (2, 3, 20, 20, 3)
    with pytest.raises(UserError, match="DIAMOND, which has no memory h to probe"):
        probe(file, None, Plan(FEWEST_GAMES, 1, 0), "", "", lambda: None, lambda line: None)


def test_the_shares_of_two_devices_add_up_to_the_whole() -> None:
    """Although one has more pairs of frames and more targets than the other."""
    values = get_config()
    values.agent.kind = "diamond"
    values.world_model.loss.num_autoregressive_steps = 1
    config = pour(values)
    agent, rng = build_agent(config, 3), np.random.default_rng(0)
    setup, params = make_setup(agent, config), random_params(agent, config)["world_model"]
    assert teaching(setup) is DIAMOND

    def segment(lengths: list[int], T: int) -> Segment:
        mask = np.arange(T) < np.array(lengths)[:, None]
        frames = rng.uniform(-1, 1, (4, T, 20, 20, 3)).astype(np.float32)
        rewards, ends = rng.integers(-1, 2, mask.shape).astype(np.float32), rng.random(mask.shape) < 0.3
        return Segment(frames, rng.integers(0, 3, mask.shape), rewards, ends, mask)

    batch = Lessons(segment([6, 6, 5, 2], 6), segment([9, 4, 9, 1], 9))
    draws = DIAMOND.draw(jax.random.key(0), jax.random.key(1), batch, setup)
    run = jax.jit(lambda batch, draws, counts: DIAMOND.loss(params, batch, draws, counts, setup))
    parts = []
    for rows in (slice(0, 2), slice(2, 4)):
        own = jax.tree.map(lambda x, rows=rows: x[rows], batch)
        parts.append((own, draws._replace(**{name: getattr(draws, name)[:, rows] for name in draws._fields[1:]})))
    counts = jax.tree.map(jnp.add, *(DIAMOND.count(*part, setup) for part in parts))
    assert counts.steps == 8 + 4 + 8 + 1 and counts.targets.tolist() == [3, 2]
    whole = run(batch, draws, DIAMOND.count(batch, draws, setup))
    shares = [run(*part, counts) for part in parts]
    jax.tree.map(lambda a, b, sum: np.testing.assert_allclose(a + b, sum, rtol=1e-5), *shares, whole)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("agent.denoiser.inner_model.cond_channels", 6, "cond_channels: must be a multiple of num_steps_conditioning"),
        ("agent.rew_end_model.depths", (1, 1), "rew_end_model.depths: depths, channels and attn_depths"),
        ("agent.rew_end_model.channels", (33,), "rew_end_model.channels: "),
    ],
)
def test_what_the_door_refuses_of_diamond_alone(key: str, value: object, message: str) -> None:
    values = get_config()
    values.update_from_flattened_dict({key: value})
    pour(values)
    values.agent.kind = "diamond"
    with pytest.raises(ConfigError, match=message):
        pour(values)


@pytest.mark.ci
def test_a_run_on_two_devices_with_its_pictures_and_an_exam(tmp_path: Path) -> None:
    output = train_here(tmp_path / "run", KIND, devices=2, pictures=True)
    assert "\nfinal test, " in output
    assert (tmp_path / "run" / "report" / "imagination-median.gif").exists()
    end = summary(tmp_path / "run")
    assert end["world_model_updates"] == end["actor_critic_updates"] == 9 and "return_mean" in end
    card = evaluate(tmp_path / "run", None, Plan(4, 4, 0), "", "", lambda: None, lambda line: None)
    assert card["id"] == "catch" and len(list((tmp_path / "run" / "evaluation").iterdir())) > 1
