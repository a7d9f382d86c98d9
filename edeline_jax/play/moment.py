"""What there is to see of one world at one step: its newest frame, how it came about, and what the policy thinks."""

import math
from typing import Any, NamedTuple

import numpy as np

from edeline_jax.play.dream import Glance, Opinion
from edeline_jax.play.real_game import RealGame, RealStep


class Moment(NamedTuple):
    """The newest frame of a dream or of a real game, and the step that led to it; at a start there is none."""

    frame: np.ndarray  # uint8 [H, W, 3]
    policy: np.ndarray  # [A], probabilities in this frame
    value: float
    step: int = 0  # since the start
    total: float = 0.0  # reward since the start
    action: int | None = None
    reward: float = 0.0
    end: bool = False
    cut: bool = False  # by the horizon, or a time limit
    glance: Glance | None = None  # of a dream's step

    @property
    def is_over(self) -> bool:
        """Whether nothing follows."""
        return self.end or self.cut

    def figures(self) -> dict[str, Any]:
        """The numbers, as JSON; what is not finite is null."""
        logs = np.log(self.policy, where=self.policy > 0, out=np.zeros_like(self.policy))
        glance = self.glance
        return {
            "step": self.step,
            "total": _finite(self.total),
            "action": self.action,
            "reward": _finite(self.reward),
            "end": self.end,
            "cut": self.cut,
            "policy": [_finite(p) for p in self.policy],
            "value": _finite(self.value),
            "entropy": _finite(-(self.policy * logs).sum()),
            "expected_reward": None if glance is None else _finite(glance.expected_reward),
            "ends": None if glance is None else _finite(glance.ends),
            "memory": None if glance is None or glance.memory is None else [_finite(x) for x in glance.memory],
        }


def dream_begins(frame: np.ndarray, opinion: Opinion) -> Moment:
    """A dream before its first step."""
    return Moment(frame, opinion.policy, opinion.value)


def dreamt(before: Moment, glance: Glance, horizon: int | None) -> Moment:
    """After a step of a dream, which is cut off at the horizon."""
    step, reward = before.step + 1, float(glance.reward)
    return Moment(
        frame=glance.trajectory[-1],
        policy=glance.opinion.policy,
        value=glance.opinion.value,
        step=step,
        total=before.total + reward,
        action=int(glance.action),
        reward=reward,
        end=bool(glance.end),
        cut=horizon is not None and step >= horizon,
        glance=glance,
    )


def game_begins(game: RealGame) -> Moment:
    """A real game at its start."""
    return Moment(game.frame, game.policy, game.value)


def happened(before: Moment, action: int, real: RealStep, game: RealGame) -> Moment:
    """After a step of a real game; the opinion on the frame is that on the next game's first if it is over."""
    return Moment(
        frame=real.frame,
        policy=game.policy,
        value=game.value,
        step=before.step + 1,
        total=before.total + real.reward,
        action=action,
        reward=real.reward,
        end=real.end,
        cut=real.truncation,
    )


def difference(one: Moment, other: Moment) -> float:
    """Root mean square difference of two frames, in levels of 0..255."""
    return float(np.sqrt(np.square(one.frame.astype(np.float32) - other.frame).mean()))


def _finite(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None
