"""Arrays of a wrong shape are refused where they enter, by name. Nothing is computed here."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from edeline_jax.actor_critic.lambda_returns import lambda_returns
from edeline_jax.actor_critic.loss import actor_critic_loss
from edeline_jax.actor_critic.rollout import PolicyDraws, RolloutState, Trajectory, act, rollout
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import pour
from edeline_jax.config.schema import DiffusionSamplerConfig
from edeline_jax.nn.lstm import LSTMState
from edeline_jax.nn.restart import replace_rows
from edeline_jax.nn.selective_scan import causal_convolution, selective_scan
from edeline_jax.replay.buffer import Replay, append
from edeline_jax.replay.chunk import Chunk
from edeline_jax.replay.sampling import Step, cut, sample_steps
from edeline_jax.replay.segment import Segment, pad
from edeline_jax.world_model import imagination
from edeline_jax.world_model.edm import sample
from edeline_jax.world_model.imagination import ImaginationState, StepDraws
from edeline_jax.world_model.loss import BatchCounts, LossDraws, world_model_loss
from tests.tiny_config import get_config

CONFIG = pour(get_config())
AGENT = build_agent(CONFIG, 3)
MODEL, POLICY = AGENT.world_model, AGENT.actor_critic
B, T, L, P, K, E, N, FRAME = 6, 9, CONFIG.context, 2, 3, 5, 4, (20, 20, 3)
SAMPLER = DiffusionSamplerConfig(4, 2e-3, 5.0, 7.0, order=1, s_churn=1.0, s_tmin=0.01, s_tmax=2.0, s_noise=1.0)


def of(*shape: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


def segment(steps: int) -> Segment:
    return Segment(of(B, steps, *FRAME), *[of(B, steps, dtype=int)] * 2, *[of(B, steps, dtype=bool)] * 2)


BATCH, START = segment(T), segment(L)
DRAWS = LossDraws(of(dtype=int), of(P, B), of(P, B, 1, 1, 3), of(P, B, *FRAME))
COUNTS = BatchCounts(of(), of(P), of())
IMAGINED = ImaginationState(of(B, L, *FRAME), (), of(B))
STEP_DRAWS = StepDraws(of(B, 3), of(B, 2), of(B, *FRAME), None)
LSTM = LSTMState(*[of(B, CONFIG.agent.actor_critic.lstm_dim)] * 2)
STEPS = of(T, B)
STORED = Trajectory(of(T, B, *FRAME), *[STEPS] * 5, of(T, B, K, *FRAME), of(T, B, 3), STEPS, STEPS)
BEGIN = RolloutState(of(B, *FRAME), LSTM, None)
REPLAY = Replay(of(8, T, 1200, dtype=jnp.uint8), *[of(8, T)] * 3, of(1, T, 4, dtype=int), of(1, dtype=int))
CHUNK = Chunk(of(8, 4, *FRAME), *[of(8, 4)] * 6)
PLACES = Step(*[of(B, dtype=int)] * 5)


def loss(batch: Segment, draws: LossDraws, counts: BatchCounts) -> Any:
    return world_model_loss({}, MODEL, batch, draws, counts, CONFIG.world_model.loss)


def step(state: ImaginationState, action: jax.Array, draws: StepDraws, start: Segment) -> Any:
    return imagination.step({}, MODEL, state, action, draws, start, CONFIG.world_model_env)


def reset(start: Segment) -> Any:
    return imagination.reset({}, MODEL, start)


def denoised(x: jax.Array, churn_noise: jax.Array) -> jax.Array:
    return sample(lambda noisy, sigma: noisy, x, SAMPLER, churn_noise)


def scan(*arrays: jax.Array) -> Any:
    return selective_scan(*arrays, scan="associative")


def act_on(obs: jax.Array, lstm: LSTMState, gumbel: jax.Array) -> Any:
    return act({}, POLICY, obs, lstm, gumbel)


def roll(begin: RolloutState, draws: PolicyDraws) -> Any:
    return rollout({}, POLICY, lambda *_: None, begin, draws)


def learn(stored: Trajectory, lstm: LSTMState) -> Any:
    return actor_critic_loss({}, POLICY, stored, lstm, CONFIG.actor_critic.loss)


def returns(*arrays: jax.Array) -> jax.Array:
    return lambda_returns(*arrays, 0.9, 0.9)


def cut_out(replay: Replay, places: Step, start: jax.Array) -> Segment:
    return cut(replay, places, start, FRAME, T)


def steps(replay: Replay) -> Step:
    return sample_steps(replay, jax.random.key(0), B, (0.5, 0.5))


def restarted(chosen: jax.Array, old: jax.Array) -> jax.Array:
    return replace_rows(chosen, lambda index: old[index], old)


SCANNED = (of(B, T, E), of(B, T, E), of(E, N), of(B, T, N), of(B, T, N), of(E), of(B, E, N))
CONVOLVED = (of(B, T, E), of(B, K, E), of(K + 1, E), of(E))


def without(arrays: tuple, place: int, wrong: jax.ShapeDtypeStruct) -> tuple:
    return (*arrays[:place], wrong, *arrays[place + 1 :])


WRONG = (  # function, name, its wrong shape, arguments around it
    (loss, "mask", (B, T + 1), lambda x: (BATCH._replace(mask=x), DRAWS, COUNTS)),
    (loss, "sigma", (P, 1), lambda x: (BATCH, DRAWS._replace(sigma=x), COUNTS)),
    (loss, "noise", (P, B, 3, 20, 20), lambda x: (BATCH, DRAWS._replace(noise=x), COUNTS)),
    (loss, "start", (B,), lambda x: (BATCH, DRAWS._replace(start=x), COUNTS)),
    (loss, "targets", (1,), lambda x: (BATCH, DRAWS, COUNTS._replace(targets=x))),
    (reset, "start.frames", (B, *FRAME), lambda x: (START._replace(frames=x),)),
    (reset, "actions", (B, 1), lambda x: (START._replace(actions=x),)),
    (step, "action", (B, 1), lambda x: (IMAGINED, x, STEP_DRAWS, START)),
    (step, "x_init", (B, 20, 20, 1), lambda x: (IMAGINED, of(B), STEP_DRAWS._replace(x_init=x), START)),
    (step, "end", (1, 2), lambda x: (IMAGINED, of(B), STEP_DRAWS._replace(end=x), START)),
    (step, "age", (1,), lambda x: (IMAGINED._replace(age=x), of(B), STEP_DRAWS, START)),
    (step, "start.frames", (B, T, *FRAME), lambda x: (IMAGINED, of(B), STEP_DRAWS, START._replace(frames=x))),
    (denoised, "x", FRAME, lambda x: (x, of(4, *FRAME))),
    (denoised, "churn_noise", (B, *FRAME), lambda x: (of(B, *FRAME), x)),
    (scan, "delta", (B, T, 1), lambda x: without(SCANNED, 1, x)),
    (scan, "C", (B, 1, N), lambda x: without(SCANNED, 4, x)),
    (scan, "s", (1, E, N), lambda x: without(SCANNED, 6, x)),
    (causal_convolution, "history", (B, K + 1, E), lambda x: without(CONVOLVED, 1, x)),
    (causal_convolution, "bias", (1,), lambda x: without(CONVOLVED, 3, x)),
    (restarted, "chosen", (B, 1), lambda x: (x, of(B, 2))),
    (returns, "bootstraps", (T, 1), lambda x: (STEPS, STEPS, STEPS, x)),
    (learn, "burn_in", (B, T, K, *FRAME), lambda x: (STORED._replace(burn_in=x), LSTM)),
    (learn, "cx", (1, 8), lambda x: (STORED, LSTM._replace(cx=x))),
    (act_on, "gumbel", (B, 1), lambda x: (BEGIN.obs, LSTM, x)),
    (roll, "env", (B, T), lambda x: (BEGIN, PolicyDraws(of(T, B, 3), x))),
    (roll, "obs", (1, *FRAME), lambda x: (BEGIN._replace(obs=x), PolicyDraws(of(T, B, 3), of(T)))),
    (cut_out, "start", (B, 1), lambda x: (REPLAY, PLACES, x)),
    (cut_out, "length", (1,), lambda x: (REPLAY, PLACES._replace(length=x), of(B, dtype=int))),
    (steps, "num_episodes", (8,), lambda x: (REPLAY._replace(num_episodes=x),)),
    (append, "rewards", (8, 1), lambda x: (REPLAY, CHUNK._replace(rewards=x), of(dtype=int))),
    (pad, "mask", (B, 1), lambda x: without(BATCH._replace(frames=of(B, T, *FRAME, dtype=jnp.uint8)), 4, x)),
)


@pytest.mark.parametrize(("function", "name", "shape", "arguments"), WRONG)
def test_a_wrong_shape_is_named(function: Callable, name: str, shape: tuple, arguments: Callable) -> None:
    with pytest.raises(AssertionError, match=rf"\b{name}\b") as error:
        jax.eval_shape(function, *arguments(of(*shape)))
    assert any(str(shape[:rank]) in str(error.value) for rank in range(1, len(shape) + 1))


def test_frames_that_are_floats_already_are_not_normalised_again() -> None:
    with pytest.raises(AssertionError, match="frames"):
        jax.eval_shape(pad, *BATCH)
