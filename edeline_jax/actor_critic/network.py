"""The actor-critic network: image encoder, LSTM, two linear heads."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from edeline_jax.envs.observation import Observation
from edeline_jax.nn.image_encoder import ImageEncoder, encode_in_parts
from edeline_jax.nn.initializers import zeros
from edeline_jax.nn.layers import Linear
from edeline_jax.nn.lstm import LSTMCell, LSTMState
from edeline_jax.nn.network import Network
from edeline_jax.nn.params import Params

UNROLLED = 4  # steps of a burn-in: the paper's 3 need no loop


class ActorCritic(Network):
    """`(obs, state) -> (logits, value, state)`; see `Outcome` for obs."""

    def setup(self) -> None:
        c = self.config.actor_critic
        self.encoder = ImageEncoder(c.channels, c.down)
        self.lstm = LSTMCell(c.lstm_dim)
        self.actor_linear = Linear(self.num_actions, kernel_init=zeros, bias_init=zeros)
        self.critic_linear = Linear(1, kernel_init=zeros, bias_init=zeros)

    def __call__(self, obs: jax.Array | Observation, state: LSTMState) -> tuple[jax.Array, jax.Array, LSTMState]:
        """Frames float32 [B, H, W, C] in [-1, 1] -> logits [B, A], value [B], next state; all float32."""
        return self.recur(self.encode(obs), state)

    def encode(self, obs: jax.Array | Observation) -> jax.Array:
        """The stateless part: frames [B, H, W, C] -> features [B, F] in the compute dtype, with h at their end."""
        frames, h = obs if isinstance(obs, Observation) else (obs, None)
        features = encode_in_parts(self.encoder, frames.astype(self.config.compute_dtype))
        if h is None:
            return features
        return jnp.concatenate([features, jax.lax.stop_gradient(h).astype(features.dtype)], -1)

    def recur(self, features: jax.Array, state: LSTMState) -> tuple[jax.Array, jax.Array, LSTMState]:
        """The recurrent part: features [B, F] -> logits, value, next state."""
        hx, state = self.lstm(features, state)
        logits = self.actor_linear(hx)
        value = self.critic_linear(hx)[:, 0]
        return logits.astype(jnp.float32), value.astype(jnp.float32), state

    def empty_obs(self, batch: int, frame_shape: tuple[int, ...]) -> jax.Array | Observation:
        """Zeros of the shapes of what it sees."""
        frames = jnp.zeros((batch, *frame_shape))
        return Observation(frames, self.empty_h(batch)) if self.config.actor_critic.sees_h else frames

    def empty_h(self, batch: int) -> jax.Array:
        """h before the first step of a sequence, all zeros."""
        return jnp.zeros((batch, self.config.recurrent_emb.mamba.d_model))

    def init_state(self, batch: int) -> LSTMState:
        """The LSTM state at the start of an episode, all zeros."""
        zero = jnp.zeros((batch, self.config.actor_critic.lstm_dim))
        return LSTMState(zero, zero)

    @nn.nowrap
    def take_in(self, params: Params, state: LSTMState, frames: jax.Array, actions: jax.Array) -> LSTMState:
        """See `Actor`: it remembers what it has seen, not what it has done."""
        del params, frames, actions
        return state


def burn_in(
    params: Params,
    network: ActorCritic,
    obs: jax.Array | Observation,
    mask: jax.Array | None = None,
    state: LSTMState | None = None,
) -> LSTMState:
    """The LSTM state after frames [B, K, H, W, C]; K may be 0.

    Args:
      params: of `network`.
      obs: the frames, float32, or observations.
      mask: bool [B, K], false where the state does not move; None: it moves at all of them.
      state: before the first frame; None: zeros.
    """
    B, K = jax.tree.leaves(obs)[0].shape[:2]
    state = network.init_state(B) if state is None else state
    if K == 0:
        return state
    flat = jax.tree.map(lambda x: x.reshape(B * K, *x.shape[2:]), obs)
    features = network.apply(params, flat, method="encode").reshape(B, K, -1)
    mask = jnp.ones((B, K), bool) if mask is None else mask

    def step(state: LSTMState, inputs: tuple[jax.Array, jax.Array]) -> tuple[LSTMState, None]:
        features, moves = inputs
        new = network.apply(params, features, state, method="recur")[2]
        return jax.tree.map(lambda new, old: jnp.where(moves[:, None], new, old), new, state), None

    steps = features.swapaxes(0, 1), mask.T
    return jax.lax.scan(step, state, steps, unroll=min(K, UNROLLED))[0]
