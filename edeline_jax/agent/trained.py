"""A trained agent outside of its run: it acts in any environment with frames like its own, and imagines."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.actor_critic.chooser import Chooser
from edeline_jax.agent.networks import Agent, build_agent
from edeline_jax.agent.reference import num_actions
from edeline_jax.agent.weights import Weights, read_agent, to_params
from edeline_jax.config import Config, pour
from edeline_jax.config.files import load as load_config
from edeline_jax.config.schema import WorldModelEnvConfig
from edeline_jax.nn.params import Params
from edeline_jax.replay.frame import from_float
from edeline_jax.replay.segment import pad
from edeline_jax.workdir.example import agent_path
from edeline_jax.world_model.model import WorldModel
from edeline_jax.world_model.prediction import Imagined, imagine


class Policy(NamedTuple):
    """How actions are chosen.

    greedy: always the likeliest one; else they are drawn from the policy.
    epsilon: the probability of a uniformly random action in their place.
    """

    greedy: bool = False
    epsilon: float = 0.0


class TrainedAgent:
    """An agent with its weights, what it remembers of N environments, and its random numbers."""

    def __init__(self, params: Params, networks: Agent, config: Config, policy: Policy, seed: int = 0):
        self.config = config
        self.num_actions = networks.actor_critic.num_actions
        self._params = params
        self._networks = networks
        self._chooser = Chooser(networks.actor, jax.random.key(seed), policy.epsilon, policy.greedy)

    def reset(self, where: Any = None, *, seed: int | None = None) -> None:
        """Begins anew: the agent forgets what it has seen.

        Args:
          where: bool [N], the environments that begin anew; all by default, and their number may then change.
          seed: begins the random numbers anew too.

        Raises:
          ValueError: `where` is not of this kind.
        """
        if seed is not None:
            self._chooser.seed(jax.random.key(seed))
        n = len(self._chooser.fresh)
        if where is None:
            self._chooser.begin(0)  # the next frames say of how many environments
        elif n > 0:
            where = np.asarray(where)
            if where.dtype != bool or where.shape != (n,):
                raise ValueError(f"where must be bool [{n}], one for each environment; got {_described(where)}")
            self._chooser.fresh |= where

    def act(self, frames: Any) -> np.ndarray | int:
        """Actions, int32 [N], in N environments that go on from the frames of the last call; see `reset`.

        Args:
          frames: uint8 [N, H, W, 3], or [H, W, 3] for a single environment, whose action is then an int. Resizing
            them is up to you; a frame of an Atari game is area-resized.

        Raises:
          ValueError: the frames are not of this kind, or of another number of environments.
        """
        frames = np.asarray(frames)
        shape = self.config.frame_shape
        if frames.dtype != np.uint8 or frames.ndim not in (3, 4) or frames.shape[-3:] != shape or not frames.size:
            size = ", ".join(map(str, shape))
            raise ValueError(f"frames must be uint8 [N, {size}] or uint8 [{size}]; got {_described(frames)}")
        batch = frames.reshape(-1, *shape)
        n = len(self._chooser.fresh)
        if n == 0:
            self._chooser.begin(len(batch))
        elif n != len(batch):
            raise ValueError(
                f"frames of {len(batch)} environments, but {n} are under way: call reset() before their number changes"
            )
        params = self._networks.actor_params(self._params)
        actions = self._chooser.choose(params, batch).actions
        self._chooser.take(params, actions)
        return np.asarray(actions) if frames.ndim == 4 else int(actions[0])

    def imagine(self, frames: Any, actions: Any, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Imagines T steps with the world model, open loop: over ends and beyond the horizon of training.

        It does not touch the state in which the agent acts.

        Args:
          frames: the real frames so far, uint8 [B, K, H, W, 3], oldest first; K is at least `config.context`.
          actions: int [B, K - 1 + T]: those taken in the first K - 1 frames, then the T to imagine, of which the first
            is taken in the newest frame.
          seed: equal seeds imagine the same.

        Returns:
          The frames that the T actions lead to, uint8 [B, T, H, W, 3]; their rewards, float32 [B, T], of -1, 0 and 1
          or under `reward.head=twohot` the expected ones; and their ends, bool [B, T].

        Raises:
          ValueError: the arguments are not of this kind.
        """
        frames, actions = np.asarray(frames), np.asarray(actions)
        self._check_context(frames, actions)
        imagined = _imagine(
            self._params["world_model"],
            self._networks.world_model,
            frames,
            actions.astype(np.int32),
            jax.random.key(seed),
            self.config.world_model_env,
        )
        return tuple(np.asarray(x) for x in imagined)

    def _check_context(self, frames: np.ndarray, actions: np.ndarray) -> None:
        L, shape = self.config.context, self.config.frame_shape
        if frames.dtype != np.uint8 or frames.ndim != 5 or frames.shape[2:] != shape or frames.shape[1] < L:
            size = ", ".join(map(str, shape))
            raise ValueError(f"frames must be uint8 [B, K, {size}] with K >= {L}; got {_described(frames)}")
        B, K = frames.shape[:2]
        if actions.dtype.kind not in "iu" or actions.ndim != 2 or len(actions) != B or actions.shape[1] < K:
            raise ValueError(
                f"actions must be int [{B}, {K - 1} + T]: {K - 1} of the context and T >= 1 to imagine; got "
                f"{_described(actions)}"
            )
        if actions.min() < 0 or actions.max() >= self.num_actions:
            raise ValueError(f"actions must be in 0..{self.num_actions - 1}; got {actions.min()}..{actions.max()}")


def load(
    path: str | os.PathLike,
    config: str | Mapping[str, Any] | None = None,
    *,
    greedy: bool = False,
    seed: int = 0,
) -> TrainedAgent:
    """Reads a trained agent.

    Args:
      path: a run, its `agents/EPOCH`, `FILE.safetensors`, the authors' `FILE.pt`, or "example", the agent that comes
        with the package.
      config: a config or the name of one ("atari:breakout"); needed for a `.pt`, which does not say what it is of.
      greedy: the agent takes the likeliest action instead of drawing one from its policy, as it was trained to.
      seed: of its random numbers.

    Raises:
      UserError: the file cannot be read, or does not fit the config.
    """
    values = load_config(config) if isinstance(config, str) else config
    weights = read_agent(agent_path(os.fspath(path)), None if values is None else pour(values))
    return trained_agent(weights, Policy(greedy), seed)


def trained_agent(weights: Weights, policy: Policy, seed: int = 0) -> TrainedAgent:
    """The agent of weights that come with their config; raises UserError if they do not fit it."""
    networks = build_agent(weights.config, num_actions(weights.tensors))
    return TrainedAgent(to_params(weights, weights.config), networks, weights.config, policy, seed)


@jax.jit(static_argnums=(1, 5))
def _imagine(
    params: Params,
    model: WorldModel,
    frames: jax.Array,
    actions: jax.Array,
    key: jax.Array,
    config: WorldModelEnvConfig,
) -> Imagined:
    """Frames uint8 [B, K, H, W, 3] and actions [B, K - 1 + T] to T steps, whose frames are uint8."""
    K = frames.shape[1]
    there = jnp.ones(frames.shape[:2], bool)
    start = pad(frames, actions[:, :K], jnp.zeros(there.shape), ~there, there)
    imagined = imagine(params, model, start, actions[:, K - 1 :], key, config)
    return imagined._replace(frames=from_float(imagined.frames))


def _described(x: np.ndarray) -> str:
    return f"{x.dtype} {list(x.shape)}"
