"""The actor-critic network: image encoder, LSTM, two linear heads."""

import jax
import jax.numpy as jnp

from edeline_jax.nn.image_encoder import ImageEncoder, encode_in_parts
from edeline_jax.nn.initializers import zeros
from edeline_jax.nn.layers import Linear
from edeline_jax.nn.lstm import LSTMCell, LSTMState
from edeline_jax.nn.network import Network
from edeline_jax.nn.params import Params

UNROLLED = 4  # steps of a burn-in: the paper's 3 need no loop


class ActorCritic(Network):
    """`(frames, state) -> (logits, value, state)`."""

    def setup(self) -> None:
        c = self.config.actor_critic
        self.encoder = ImageEncoder(c.channels, c.down)
        self.lstm = LSTMCell(c.lstm_dim)
        self.actor_linear = Linear(self.num_actions, kernel_init=zeros, bias_init=zeros)
        self.critic_linear = Linear(1, kernel_init=zeros, bias_init=zeros)

    def __call__(self, frames: jax.Array, state: LSTMState) -> tuple[jax.Array, jax.Array, LSTMState]:
        """Frames float32 [B, H, W, C] in [-1, 1] -> logits [B, A], value [B], next state; all float32."""
        return self.recur(self.encode(frames), state)

    def encode(self, frames: jax.Array) -> jax.Array:
        """The stateless part: frames [B, H, W, C] -> features [B, F] in the compute dtype."""
        return encode_in_parts(self.encoder, frames.astype(self.config.compute_dtype))

    def recur(self, features: jax.Array, state: LSTMState) -> tuple[jax.Array, jax.Array, LSTMState]:
        """The recurrent part: features [B, F] -> logits, value, next state."""
        hx, state = self.lstm(features, state)
        logits = self.actor_linear(hx)
        value = self.critic_linear(hx)[:, 0]
        return logits.astype(jnp.float32), value.astype(jnp.float32), state

    def init_state(self, batch: int) -> LSTMState:
        """The LSTM state at the start of an episode, all zeros."""
        zero = jnp.zeros((batch, self.config.actor_critic.lstm_dim))
        return LSTMState(zero, zero)


def burn_in(
    params: Params,
    network: ActorCritic,
    frames: jax.Array,
    mask: jax.Array | None = None,
    state: LSTMState | None = None,
) -> LSTMState:
    """The LSTM state after frames [B, K, H, W, C]; K may be 0.

    Args:
      params: of `network`.
      frames: float32.
      mask: bool [B, K], false where the state does not move; None: it moves at all of them.
      state: before the first frame; None: zeros.
    """
    B, K = frames.shape[:2]
    state = network.init_state(B) if state is None else state
    if K == 0:
        return state
    features = network.apply(params, frames.reshape(B * K, *frames.shape[2:]), method="encode").reshape(B, K, -1)
    mask = jnp.ones((B, K), bool) if mask is None else mask

    def step(state: LSTMState, inputs: tuple[jax.Array, jax.Array]) -> tuple[LSTMState, None]:
        features, moves = inputs
        new = network.apply(params, features, state, method="recur")[2]
        return jax.tree.map(lambda new, old: jnp.where(moves[:, None], new, old), new, state), None

    steps = features.swapaxes(0, 1), mask.T
    return jax.lax.scan(step, state, steps, unroll=min(K, UNROLLED))[0]
