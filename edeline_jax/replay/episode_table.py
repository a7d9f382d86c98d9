"""The table of the episodes in a replay's streams."""

import numpy as np


class EpisodeTable:
    """The host's table of the episodes in S streams that advance together; `arrays` gives the replay's copy."""

    def __init__(self, num_streams: int, num_steps: int, num_devices: int = 1):
        self.step = 0  # position of the next step in every stream
        self._per_device = num_streams // num_devices
        self._episodes = np.zeros((num_devices, self._per_device * num_steps, 3), np.int32)
        self._num_episodes = np.zeros(num_devices, np.int32)
        self._newest = np.zeros(num_streams, int)  # each stream's latest episode, as a row of its device's table

    def record(self, starts: np.ndarray, first: int | None = None) -> None:
        """Records n steps of every stream; `starts`, bool [S, n], marks the first steps of episodes.

        The steps begin at position `first`, by default right after the last ones. If that leaves a gap, its positions
        belong to no episode and a new episode begins after it in every stream.
        """
        if first is not None and first != self.step:
            self.step = first
            starts = np.concatenate([np.ones_like(starts[:, :1]), starts[:, 1:]], 1)
        for column in starts.T:
            for stream, start in enumerate(column):
                device, local = divmod(stream, self._per_device)
                if start:
                    self._newest[stream] = self._num_episodes[device]
                    self._episodes[device, self._newest[stream]] = local, self.step, 0
                    self._num_episodes[device] += 1
                self._episodes[device, self._newest[stream], 2] += 1
            self.step += 1

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """`Replay.episodes` and `Replay.num_episodes`."""
        return self._episodes.copy(), self._num_episodes.copy()
