"""The table of the episodes in a replay's streams."""

import numpy as np

COLUMNS = 4


class EpisodeTable:
    """The host's table of the episodes in S streams that advance together; `arrays` gives the replay's copy.

    A row is (stream, numbered on its device; first step; length; whether the game went on after the episode's end, into
    the next step of the stream).
    """

    def __init__(self, num_streams: int, num_steps: int, num_devices: int = 1):
        self.step = 0  # position of the next step in every stream
        self._per_device = num_streams // num_devices
        self._episodes = np.zeros((num_devices, self._per_device * num_steps, COLUMNS), np.int32)
        self._num_episodes = np.zeros(num_devices, np.int32)
        self._newest = np.zeros(num_streams, int)  # each stream's latest episode, as a row of its device's table

    def record(self, starts: np.ndarray, game_starts: np.ndarray, first: int | None = None) -> None:
        """Records n steps of every stream.

        Args:
          starts: bool [S, n], the first steps of episodes.
          game_starts: bool [S, n], the first steps of games; the other episodes begin after a lost life.
          first: the position of the steps, by default right after the last ones. If that leaves a gap, its positions
            belong to no episode, and behind it every stream begins as with a new game.
        """
        if first is not None and first != self.step:
            self.step = first
            begin = np.arange(starts.shape[1]) == 0
            starts, game_starts = starts | begin, game_starts | begin
        for column, new_games in zip(starts.T, game_starts.T, strict=True):
            for stream, start in enumerate(column):
                device, local = divmod(stream, self._per_device)
                if start:
                    self._episodes[device, self._newest[stream], 3] = not new_games[stream]
                    self._newest[stream] = self._num_episodes[device]
                    self._episodes[device, self._newest[stream]] = local, self.step, 0, 0
                    self._num_episodes[device] += 1
                self._episodes[device, self._newest[stream], 2] += 1
            self.step += 1

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """`Replay.episodes` and `Replay.num_episodes`."""
        return self._episodes.copy(), self._num_episodes.copy()
