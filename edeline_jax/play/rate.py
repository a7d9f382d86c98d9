"""How much a visitor may ask for."""

from edeline_jax.play.messages import Message

PER_SECOND, BURST = 150.0, 300.0  # of what messages cost; 60 pictures a second are as many answers
COSTS = {"reset": 10, "next": 10, "world": 10, "start": 10, "sampler": 10, "download": 100}  # others: 1
PICTURE = 100


class Rate:
    """A bucket that every message takes from, and time fills again."""

    def __init__(self, now: float):
        self._left = BURST
        self._at = now

    def allows(self, message: Message | bytes, now: float) -> bool:
        """Whether there was enough left for a message or an uploaded picture at `now`, in seconds."""
        self._left = min(BURST, self._left + (now - self._at) * PER_SECOND)
        self._at = now
        self._left -= PICTURE if isinstance(message, bytes) else COSTS.get(message.kind, 1)
        return self._left >= 0
