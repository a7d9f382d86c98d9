"""The fixed arguments of an update program."""

from typing import Any, NamedTuple

import jax

from edeline_jax.agent.networks import Agent
from edeline_jax.config import Config


class Setup(NamedTuple):
    """Networks, config and device axis, bound once when a program is built; hashable.

    axis: the mapped axis over which devices share a batch; None on a single device without a mesh.
    """

    agent: Agent
    config: Config
    axis: str | None

    @property
    def num_devices(self) -> int:
        """The devices along the axis."""
        return 1 if self.axis is None else jax.lax.axis_size(self.axis)

    def share(self, batch_size: int) -> int:
        """The size of this device's share of a batch."""
        return batch_size // self.num_devices

    def total(self, shares: Any) -> Any:
        """The sum of the devices' shares, equal on all of them."""
        return shares if self.axis is None else jax.lax.psum(shares, self.axis)

    @property
    def device(self) -> jax.Array | int:
        """This device's index along the axis."""
        return 0 if self.axis is None else jax.lax.axis_index(self.axis)
