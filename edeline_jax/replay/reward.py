"""Rewards as they are stored (raw) and as networks learn them: their signs, or their values in bins.

The bins are those of DreamerV3 (Hafner et al., 2023, arXiv 2301.04104, "symexp two-hot loss"): 255 from -20 to 20, even
in symlog(r) = sign(r) ln(1 + |r|). A value is shared between the two bins beside it so that their mean is the value. So
the mean of a distribution over the bins is an expected reward.
"""

from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax

SIGNS = 3  # classes of a reward's sign: -1, 0, 1
NUM_BINS = 255
CENTRE = NUM_BINS // 2  # the bin of 0
POSITIVE = np.expm1(np.linspace(0, 20, CENTRE + 1)[1:]).astype(np.float32)  # to half a billion
BINS = np.concatenate([-POSITIVE[::-1], [np.float32(0)], POSITIVE])


def signs(rewards: jax.Array | np.ndarray, least: float = 0.0) -> jax.Array | np.ndarray:
    """-1, 0 and 1, int; a reward up to `least` in size counts as 0."""
    return (rewards > least).astype(int) - (rewards < -least).astype(int)


def clipped(rewards: jax.Array, clip: str) -> jax.Array:
    """What the critic adds up: the rewards' signs ("sign"), or the rewards as they are ("none")."""
    return jnp.sign(rewards) if clip == "sign" else rewards


class RewardHead(Protocol):
    """What the world model's reward head predicts, by its logits [..., classes].

    classes: the number of logits.
    starts_at_zero: whether the last layer's weights begin at zero.
    """

    classes: int
    starts_at_zero: bool

    def loss(self, logits: jax.Array, rewards: jax.Array) -> jax.Array:
        """Cross-entropy of raw rewards [...], in nats; float32 [...]."""

    def signs(self, rewards: jax.Array) -> jax.Array:
        """The signs that the head tells apart, of raw rewards; int [...]."""

    def sign_logits(self, logits: jax.Array) -> jax.Array:
        """Logits of the signs -1, 0 and 1, float32 [..., 3]."""

    def imagine(self, logits: jax.Array, gumbel: jax.Array) -> jax.Array:
        """The rewards of imagined steps, float32 [...]; Gumbel noise [..., 3] where they are drawn."""

    def expected(self, logits: jax.Array) -> jax.Array:
        """The mean of what is predicted, float32 [...]."""

    def errors(self, logits: jax.Array, rewards: jax.Array) -> dict[str, jax.Array]:
        """What else says how good the prediction is, by name, float32 [...]."""


class SignHead:
    """The sign of the reward, drawn in imagination."""

    classes = SIGNS
    starts_at_zero = False

    def loss(self, logits: jax.Array, rewards: jax.Array) -> jax.Array:
        """See `RewardHead`."""
        return optax.softmax_cross_entropy_with_integer_labels(logits, self.signs(rewards) + 1)

    def signs(self, rewards: jax.Array) -> jax.Array:
        """See `RewardHead`."""
        return signs(rewards)

    def sign_logits(self, logits: jax.Array) -> jax.Array:
        """See `RewardHead`."""
        return logits

    def imagine(self, logits: jax.Array, gumbel: jax.Array) -> jax.Array:
        """See `RewardHead`."""
        return jnp.argmax(logits + gumbel, -1).astype(jnp.float32) - 1

    def expected(self, logits: jax.Array) -> jax.Array:
        """See `RewardHead`: how much likelier 1 is than -1."""
        probabilities = jax.nn.softmax(logits)
        return probabilities[..., 2] - probabilities[..., 0]

    def errors(self, logits: jax.Array, rewards: jax.Array) -> dict[str, jax.Array]:
        """See `RewardHead`."""
        del logits, rewards
        return {}


class TwoHotHead:
    """The value of the reward; in imagination it is the expected one.

    A new head predicts 0: its logits are equal, and the outermost bins, of half a billion, cancel exactly.
    """

    classes = NUM_BINS
    starts_at_zero = True

    def loss(self, logits: jax.Array, rewards: jax.Array) -> jax.Array:
        """See `RewardHead`."""
        return optax.softmax_cross_entropy(logits, two_hot(rewards))

    def signs(self, rewards: jax.Array) -> jax.Array:
        """See `RewardHead`: those of the nearest bin, so less than 0.085 counts as 0."""
        return signs(rewards, float(POSITIVE[0]) / 2)

    def sign_logits(self, logits: jax.Array) -> jax.Array:
        """See `RewardHead`: those of the bins below, at and above 0 together."""
        below, at, above = logits[..., :CENTRE], logits[..., CENTRE], logits[..., CENTRE + 1 :]
        return jnp.stack([jax.nn.logsumexp(below, -1), at, jax.nn.logsumexp(above, -1)], -1)

    def imagine(self, logits: jax.Array, gumbel: jax.Array) -> jax.Array:
        """See `RewardHead`."""
        del gumbel
        return self.expected(logits)

    def expected(self, logits: jax.Array) -> jax.Array:
        """See `RewardHead`."""
        return mean(jax.nn.softmax(logits))

    def errors(self, logits: jax.Array, rewards: jax.Array) -> dict[str, jax.Array]:
        """See `RewardHead`: how far the expected reward is from the one that came."""
        return {"error_rew": jnp.abs(self.expected(logits) - rewards)}


HEADS: dict[str, RewardHead] = {"sign": SignHead(), "twohot": TwoHotHead()}


def two_hot(rewards: jax.Array) -> jax.Array:
    """The weights of the bins, [..., NUM_BINS]: of the two beside each value; of the outermost for what lies beyond."""
    numbers = np.arange(-CENTRE, CENTRE + 1, dtype=np.float32)  # from the centre, where floats are finest
    places = jnp.interp(rewards, BINS, numbers)
    return jnp.maximum(0, 1 - jnp.abs(places[..., None] - _along_last(numbers, places.ndim)))


def mean(probabilities: jax.Array) -> jax.Array:
    """The mean of a distribution over the bins, [..., NUM_BINS] -> [...]; each bin is set off against its mirror."""
    surplus = probabilities[..., CENTRE + 1 :] - jnp.flip(probabilities[..., :CENTRE], -1)
    return (surplus * _along_last(POSITIVE, probabilities.ndim - 1)).sum(-1)


def _along_last(x: np.ndarray, leading: int) -> np.ndarray:
    return x.reshape((1,) * leading + x.shape)
