"""A trained agent from Python: it acts as its policy does, and imagines as its world model does."""

import functools
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

import edeline_jax
from edeline_jax.agent.networks import Agent, build_agent
from edeline_jax.agent.trained import Policy, TrainedAgent
from edeline_jax.agent.weights import read_weights, to_params
from edeline_jax.config import pour
from edeline_jax.replay.frame import from_float, to_float
from edeline_jax.replay.segment import Segment
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import to_path
from edeline_jax.world_model import imagination
from edeline_jax.world_model.imagination import draw_step
from tests.acting.policies import greedy, random_policy, undecided, unrolled, with_habit
from tests.test_earlier_version import FOLDER as EARLIER
from tests.tiny_config import get_config
from tests.world_model.rules import Rule, RuleModel, level, show_everything

CONFIG = pour(get_config())
NETWORKS = build_agent(CONFIG, 3)
POLICY = random_policy(NETWORKS.actor_critic)
FILE = EARLIER / "agent.safetensors"
T, N = 8, 4


def agent(actor_critic: dict, policy: Policy = Policy(), seed: int = 0) -> TrainedAgent:  # noqa: B008 (immutable)
    return TrainedAgent({"actor_critic": actor_critic}, NETWORKS, CONFIG, policy, seed)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 20, 20, 3), dtype=np.uint8)


def test_it_takes_the_policys_actions_and_remembers_until_it_is_reset() -> None:
    """A mask resets some environments; a single environment has actions of its own type."""
    frames, starts = noise(T, N), np.zeros((T, N), bool)
    starts[0], starts[3, 1], starts[5, [0, 1]], starts[6] = True, True, True, True
    player = agent(POLICY)
    actions = []
    for t in range(T):
        if t:
            player.reset(None if starts[t].all() else starts[t])
        actions.append(player.act(frames[t]))
    assert actions[0].dtype == np.int32
    np.testing.assert_array_equal(actions, greedy(POLICY, NETWORKS.actor_critic, frames, starts))
    for wrong in (np.zeros_like(starts), np.ones_like(starts)):
        assert (greedy(POLICY, NETWORKS.actor_critic, frames, wrong) != actions).any()
    player.reset()
    alone = [player.act(frame) for frame in frames[:3, 2]]
    assert all(type(action) is int for action in alone)
    assert alone == [row[2] for row in actions[:3]]


def test_actions_are_drawn_by_a_seed_or_are_the_likeliest() -> None:
    mild = undecided(POLICY)["params"]
    shares = np.array([0.2, 0.5, 0.3])
    mild = {"params": mild | {"actor_linear": mild["actor_linear"] | {"bias": np.log(shares).astype(np.float32)}}}
    frames = noise(1)[0][None].repeat(200, 0)

    def actions(policy: Policy = Policy(), seed: int = 0) -> np.ndarray:  # noqa: B008 (immutable)
        player = agent(mild, policy, seed)
        return np.stack([player.act(frames) for _ in range(3)])

    drawn = actions()
    assert chisquare(np.bincount(drawn.ravel(), minlength=3), 600 * shares).pvalue > 1e-4
    assert (drawn[0] != drawn[1]).any()
    np.testing.assert_array_equal(drawn, actions())
    assert (drawn != actions(seed=1)).any()
    assert (actions(Policy(greedy=True)) == 1).all()
    player = agent(mild)
    player.act(frames)
    player.reset(seed=0)
    np.testing.assert_array_equal(player.act(frames), drawn[0])


def test_epsilon_is_the_share_of_random_actions() -> None:
    player = agent(with_habit(POLICY, 2), Policy(epsilon=0.3))
    actions = np.concatenate([player.act(noise(1)[0][None].repeat(200, 0)) for _ in range(5)])
    assert chisquare(np.bincount(actions, minlength=3), [100, 100, 800]).pvalue > 1e-4


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (noise(2).astype(np.float32), r"uint8 \[N, 20, 20, 3\] or uint8 \[20, 20, 3\]; got float32 \[2, 20, 20, 3\]"),
        (noise(2)[:, :16], r"got uint8 \[2, 16, 20, 3\]"),
        (noise(2).transpose(0, 3, 1, 2), r"got uint8 \[2, 3, 20, 20\]"),
        (noise(2)[:0], r"got uint8 \[0, 20, 20, 3\]"),
        (noise(1, 2), r"got uint8 \[1, 2, 20, 20, 3\]"),
        (noise(3), r"frames of 3 environments, but 2 are under way: call reset\(\)"),
    ],
)
def test_other_frames_are_refused(frames: np.ndarray, words: str) -> None:
    player = agent(POLICY)
    player.act(noise(2))
    with pytest.raises(ValueError, match=words):
        player.act(frames)


@pytest.mark.parametrize("where", [[True], [1, 0], np.ones((2, 1), bool)])
def test_other_masks_are_refused(where: object) -> None:
    player = agent(POLICY)
    player.act(noise(2))
    with pytest.raises(ValueError, match=r"where must be bool \[2\], one for each environment; got "):
        player.reset(where)


L, B = CONFIG.context, 3


def dreamer(rule: Rule) -> TrainedAgent:
    """Its world model follows a rule, on frames of 20 x 20 pixels."""
    networks = Agent(RuleModel(CONFIG.agent, rule), NETWORKS.actor_critic)
    return TrainedAgent({"world_model": {}, "actor_critic": POLICY}, networks, CONFIG, Policy())


def context(K: int, T: int, B: int = B) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey frames of random numbers, uint8 [B, K, 20, 20, 3], those numbers [B, K], and actions [B, K - 1 + T]."""
    rng = np.random.default_rng(K)
    numbers = rng.integers(0, 3, (B, K))
    frames = np.broadcast_to(level(numbers)[..., None, None, None], (B, K, 20, 20, 3)).astype(np.uint8)
    return frames, numbers, rng.integers(0, 3, (B, K - 1 + T))


@pytest.mark.optimized  # in a hurry, each use of a frame rounds in its own way
@pytest.mark.parametrize("K", [L, L + 3])
def test_it_imagines_on_from_all_frames_that_it_is_given(K: int) -> None:
    """The memory sees them all, the denoiser the newest L; the step of the newest frame comes first."""
    T = 6
    frames, numbers, actions = context(K, T)
    shown, _, _ = dreamer(show_everything).imagine(frames, actions, seed=1)
    assert shown.shape == (B, T, 20, 20, 3) and shown.dtype == np.uint8
    reds = np.concatenate([numbers, actions[:, K - 1 :]], 1)  # a frame shows the action before
    for t in range(T):
        memory = (actions[:, : K + t] + 2 * reds[:, : K + t]).sum(1)
        colours = np.stack([level(actions[:, K - 1 + t]), memory, level(reds[:, K + t - L])], -1)
        np.testing.assert_array_equal(shown[:, t], np.broadcast_to(colours[:, None, None], (B, 20, 20, 3)))


def test_rewards_and_ends_are_drawn_as_in_training() -> None:
    """The rule's logits are zero, so the class of the largest noise wins; the imagination goes on over ends."""
    frames, _, actions = context(L, 40)
    _, rewards, ends = dreamer(show_everything).imagine(frames, actions, seed=5)
    keys = jax.random.split(jax.random.key(5), 40)
    draws = [draw_step(key, CONFIG.frame_shape, B, CONFIG.world_model_env) for key in keys]
    np.testing.assert_array_equal(rewards.T, [np.argmax(step.reward, -1) - 1 for step in draws])
    np.testing.assert_array_equal(ends.T, [np.argmax(step.end, -1) == 1 for step in draws])
    assert set(rewards.ravel()) == {-1, 0, 1} and 30 < ends.sum() < 90


def test_it_imagines_what_its_environment_for_training_does() -> None:
    """With the networks of a real agent, step by step, until the first restart."""
    real = edeline_jax.load(FILE)
    config, T, B = real.config, real.config.world_model_env.horizon, 48
    weights = read_weights(to_path(str(FILE)))
    params, model = to_params(weights, config)["world_model"], build_agent(config, 3).world_model
    frames, _, actions = context(config.context, T, B)
    frames = frames // 2 + noise(B, config.context) // 2
    shown, rewards, ends = real.imagine(frames, actions, seed=3)

    there = jnp.ones((B, config.context), bool)
    start = Segment(to_float(jnp.asarray(frames)), actions[:, : config.context], jnp.zeros(there.shape), ~there, there)
    step = jax.jit(functools.partial(imagination.step, params, model, config=config.world_model_env))
    state = jax.jit(functools.partial(imagination.reset, params, model))(start)
    alive = np.ones(B, bool)
    for t, key in enumerate(jax.random.split(jax.random.key(3), T)):
        draws = draw_step(key, config.frame_shape, B, config.world_model_env)
        state, outcome = step(state, actions[:, config.context - 1 + t], draws, start)
        wanted = np.asarray(from_float(outcome.final_obs)).astype(int)
        assert np.abs(shown[alive, t] - wanted[alive]).max() <= 1  # the programs round otherwise
        np.testing.assert_array_equal(rewards[alive, t], outcome.reward[alive])
        np.testing.assert_array_equal(ends[alive, t], outcome.end[alive])
        alive &= ~np.asarray(outcome.end)
    assert alive.any() and rewards[alive].any() and (shown[:, -1] != shown[:, 0]).any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f, a: (f[:, :-1], a), rf"uint8 \[B, K, 20, 20, 3\] with K >= {L}; got uint8 \[3, {L - 1}, 20, 20, 3\]"),
        (lambda f, a: (f / 255, a), r"got float64 \["),
        (lambda f, a: (f[..., :1], a), r"got uint8 \[3, 4, 20, 20, 1\]"),
        (lambda f, a: (f, a[:, : L - 1]), rf"int \[3, {L - 1} \+ T\]: {L - 1} of the context and T >= 1"),
        (lambda f, a: (f, a[:2]), r"got int64 \[2, "),
        (lambda f, a: (f, a.astype(float)), r"got float64 \[3, "),
        (lambda f, a: (f, a + 1), r"actions must be in 0\.\.2; got 1\.\.3"),
    ],
)
def test_other_contexts_are_refused(change: Callable, words: str) -> None:
    frames, _, actions = context(L, 5)
    with pytest.raises(ValueError, match=words):
        dreamer(show_everything).imagine(*change(frames, actions))


def test_a_run_its_epoch_and_a_file_are_the_same_agent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And none of them comes with a warning of a library."""
    with tarfile.open(EARLIER / "run.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    (epoch,) = sorted((tmp_path / "run" / "agents").iterdir())[-1:]
    loaded = [edeline_jax.load(path, seed=2) for path in (tmp_path / "run", str(epoch), FILE)]
    assert caplog.text == ""
    frames = noise(3, N)
    actions = [[player.act(row).tolist() for row in frames] for player in loaded]
    assert actions[0] == actions[1] == actions[2]
    assert [player.num_actions for player in loaded] == [3, 3, 3] and loaded[0].config.env.id == "catch"

    params = to_params(read_weights(to_path(str(FILE))), loaded[0].config)["actor_critic"]
    starts = np.arange(3)[:, None].repeat(N, 1) == 0
    logits, _, _ = unrolled(params, build_agent(loaded[0].config, 3).actor_critic, frames, starts)
    sure = edeline_jax.load(FILE, greedy=True)
    np.testing.assert_array_equal([sure.act(row) for row in frames], logits.argmax(-1))


def test_a_config_may_be_named(tmp_path: Path) -> None:
    """Of another game with as many actions; one that does not fit is refused."""
    with pytest.raises(UserError, match="the weights do not fit the config: "):
        edeline_jax.load(FILE, config="catch")
    values = get_config()
    values.evaluation.epsilon = 0.25
    assert edeline_jax.load(FILE, config=values).config.evaluation.epsilon == 0.25
    with pytest.raises(UserError, match="no such file or folder"):
        edeline_jax.load(tmp_path / "no")


def test_importing_the_package_loads_nothing() -> None:
    code = "import sys, edeline_jax; sys.exit(bool({'jax', 'numpy', 'absl'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)
