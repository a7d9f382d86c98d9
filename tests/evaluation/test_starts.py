"""The places of a replay that are imagined from, tried one by one."""

import numpy as np
import pytest

from edeline_jax.evaluation import starts
from edeline_jax.evaluation.starts import liveliest, longest
from edeline_jax.replay.buffer import Replay
from tests.evaluation.replays import L, restless

Place = tuple[int, int, int]  # stream, first step of its window, length of the window


def one_by_one(replay: Replay, most: int, count: int) -> list[Place]:
    """The windows that change most, each without a frame of those before it."""
    steps_apart = np.abs(np.diff(replay.frames.astype(float), axis=1)).sum(-1)
    most_counted = np.quantile(steps_apart[steps_apart > 0], 0.9)
    changes: dict[Place, float] = {}
    for stream, first, steps, _ in replay.episodes[0, : replay.num_episodes[0]]:
        length = min(most, steps)
        for begin in range(first, first + steps - length + 1) if length > L else ():
            frames = replay.frames[stream, begin : begin + length].astype(float)
            changes[stream, begin, length] = np.minimum(np.abs(frames[1:] - frames[:-1]).sum(-1), most_counted).sum()
    chosen: list[Place] = []
    for place in sorted(changes, key=changes.get, reverse=True):
        stream, begin, length = place
        apart = [s != stream or begin >= b + n or b >= begin + length for s, b, n in chosen]
        if all(apart) and len(chosen) < count:
            chosen.append(place)
    return chosen


@pytest.mark.parametrize("lengths", [[[6, 9, 3], [8, 9]], [[30, 7, 25], [12, 90]]])
def test_the_liveliest_places_share_no_frame(lengths: list[list[int]]) -> None:
    replay = restless(lengths)
    expected = one_by_one(replay, 12, 6)
    found = liveliest(replay, L, 12, 6)
    assert [(s, f + t) for s, f, t in zip(found.stream, found.first, found.t, strict=True)] == [
        (stream, begin) for stream, begin, _ in expected
    ]
    assert len(expected) == 4 if lengths[0][0] == 6 else len(expected) == 6
    episodes = replay.episodes[0, : replay.num_episodes[0], :3].tolist()
    assert all([s, f, n] in episodes for s, f, n in zip(found.stream, found.first, found.length, strict=True))


def test_a_flash_is_not_livelier_than_steady_movement() -> None:
    replay = restless([[30], [30]])
    frames = np.zeros_like(replay.frames)
    frames[0, 10] = 255  # for one frame
    frames[1, np.arange(30), np.arange(30)] = 255  # a pixel that goes on and on
    assert liveliest(replay._replace(frames=frames), L, 12, 1).stream.tolist() == [1]


def test_the_longest_come_first_and_then_places_further_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many frames are left as the place is worth: 26, 24, 16, 14 of episodes of 30 and 28; L are given."""
    assert L == 4
    monkeypatch.setattr(starts, "APART", 10)
    found = longest(restless([[28, 9], [30, L]]), L, 5)
    assert [tuple(map(int, place)) for place in zip(*found, strict=True)] == [
        (1, 0, 30, 0, 0),
        (0, 0, 28, 0, 0),
        (1, 0, 30, 0, 10),
        (0, 0, 28, 0, 10),
        (1, 0, 30, 0, 20),
    ]


def test_without_a_frame_to_imagine_there_is_no_place() -> None:
    replay = restless([[L, L], [L - 1]])
    assert len(liveliest(replay, L, 20, 8).t) == len(longest(replay, L, 8).t) == 0
