"""segments.npz, and the frequencies of what is sampled."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from edeline_jax.replay.buffer import Replay, replay_of
from edeline_jax.replay.chunk import Chunk
from edeline_jax.replay.episode_table import EpisodeTable
from edeline_jax.replay.sampling import (
    Step,
    cut,
    places,
    read,
    sample_segments,
    sample_starts,
    sample_steps,
    segment_places,
    start_places,
)
from edeline_jax.replay.segment import segments, segments_with_finals
from tests.golden_data import channels_last, load


def filled(lengths: list[int]) -> Replay:
    """One stream of episodes; a step's action is its number in the stream, its frame too (mod 251)."""
    steps = sum(lengths)
    number, starts, no = np.arange(steps), np.zeros((1, steps), bool), np.zeros((1, steps), bool)
    starts[0, np.cumsum([0, *lengths[:-1]])] = True
    frames = np.broadcast_to((number % 251).astype(np.uint8)[None, :, None, None, None], (1, steps, 2, 2, 3))
    played = number[None].astype(np.int32), number[None].astype(np.float32), no, no, starts, number[None] == 0
    return replay_of(Chunk(frames, *played))


def test_golden_segments() -> None:
    arrays = load("segments")
    chunk = Chunk(
        channels_last(arrays["ep_obs"])[None],
        arrays["ep_act"][None].astype(np.int32),
        arrays["ep_rew"][None],
        arrays["ep_end"][None].astype(bool),
        np.zeros((1, 9), bool),
        np.arange(9)[None] == 0,
        np.arange(9)[None] == 0,
    )
    replay = replay_of(chunk)
    for i, (start, stop) in enumerate(arrays["segment_ids"]):
        step = Step(*jnp.array([[0], [0], [9], [0], [0]]))
        got = cut(replay, step, jnp.array([start]), (8, 8, 3), int(stop - start))
        np.testing.assert_allclose(got.frames[0], channels_last(arrays[f"seg{i}_obs"]), atol=1e-6)
        for ours, theirs in (("actions", "act"), ("rewards", "rew"), ("ends", "end"), ("mask", "mask")):
            np.testing.assert_array_equal(getattr(got, ours)[0], arrays[f"seg{i}_{theirs}"])


def assert_frequencies(values: np.ndarray, probabilities: np.ndarray) -> None:
    counts = np.bincount(values, minlength=len(probabilities))
    possible = probabilities > 0
    assert counts[~possible].sum() == 0
    expected = probabilities[possible] / probabilities[possible].sum() * counts.sum()
    assert chisquare(counts[possible], expected).pvalue > 1e-4


WEIGHTS = (0.1, 0.1, 0.1, 0.7)  # of the reference
LENGTHS = [5, 40, 8, 3, 60, 20, 9, 31, 14, 7]


@pytest.mark.parametrize(
    ("weights", "sizes"),
    [
        (WEIGHTS, [2, 2, 2, 4]),  # ten episodes: n // 4 each, the last group takes the rest
        ((0.5, 0.1, 0.4), [3, 3, 4]),
        ((0.3, 0.0, 0.2, 0.0, 0.5), [2] * 5),
        ((1.0,), [10]),
    ],
)
def test_episodes_are_drawn_by_age_and_steps_evenly(weights: tuple[float, ...], sizes: list[int]) -> None:
    step = sample_steps(filled(LENGTHS), jax.random.key(0), 100_000, weights)
    firsts = np.cumsum([0, *LENGTHS[:-1]])
    episode = np.searchsorted(firsts, np.asarray(step.first))
    drawn = np.concatenate([np.full(size, p / size) for size, p in zip(sizes, weights, strict=True)])
    assert_frequencies(episode, drawn)
    for i in (4, 9) if weights == WEIGHTS else ():
        assert_frequencies(np.asarray(step.t)[episode == i], np.full(LENGTHS[i], 1 / LENGTHS[i]))


@pytest.mark.parametrize("lengths", [[7], [5, 40], [5, 40, 8]])
def test_few_episodes_are_drawn_by_length(lengths: list[int]) -> None:
    step = sample_steps(filled(lengths), jax.random.key(1), 50_000, WEIGHTS)
    assert_frequencies(np.asarray(step.first + step.t), np.full(sum(lengths), 1 / sum(lengths)))


def test_world_model_offsets_hang_over_both_ends() -> None:
    replay, T = filled([30]), 4
    segment = sample_segments(replay, jax.random.key(2), (2, 2, 3), 60_000, T, WEIGHTS)
    real = np.asarray(segment.mask)
    first_real = np.where(real, np.asarray(segment.actions), 99).min(1)
    start = first_real - real.argmax(1)  # of the whole segment, padding counted
    # start = t - u, t in 0..29, u in 0..3
    ways = np.bincount((np.arange(30)[:, None] - np.arange(T)).ravel() + T - 1)
    assert_frequencies(start + T - 1, ways / ways.sum())


def test_starts_hang_over_the_front_only() -> None:
    replay, L = filled([6]), 4
    segment = sample_starts(replay, jax.random.key(3), (2, 2, 3), 60_000, L, WEIGHTS)
    assert np.asarray(segment.mask)[:, -1].all()
    stops = np.minimum(6, np.arange(6)[:, None] + 1 + np.arange(L)).ravel()
    ways = np.bincount(stops, minlength=7)
    assert_frequencies(np.asarray(segment.actions)[:, -1] + 1, ways / ways.sum())


def test_longer_starts_stop_where_short_ones_do() -> None:
    replay, key = filled([9, 5, 30]), jax.random.key(3)
    short, long = (start_places(replay, key, 500, 4, length, WEIGHTS) for length in (4, 20))
    for name in ("index", "mask"):
        np.testing.assert_array_equal(getattr(long, name)[:, -4:], getattr(short, name))
    firsts = np.select([np.asarray(long.index[:, -1]) < 9, np.asarray(long.index[:, -1]) < 14], [0, 9], 14)
    reach = np.arange(-19, 1)[None] + np.asarray(long.index[:, -1:])  # where the steps would be in one long episode
    np.testing.assert_array_equal(long.mask, reach >= firsts[:, None])
    np.testing.assert_array_equal(long.index, np.maximum(reach, firsts[:, None]))


def test_steps_before_segments_leave_them_where_they_are() -> None:
    replay, key = filled([9, 5, 30]), jax.random.key(3)
    short, long = (segment_places(replay, key, 500, 4, length, WEIGHTS) for length in (4, 20))
    for name in ("index", "mask"):
        np.testing.assert_array_equal(getattr(long, name)[:, -4:], getattr(short, name))
    begins = short.mask[:, 0]  # the others hang over the front, where nothing comes before
    assert not long.mask[~begins, :-4].any() and 0 < begins.sum() < 500
    newest = np.asarray(long.index)[begins, -4:-3]
    firsts, reach = np.select([newest < 9, newest < 14], [0, 9], 14), newest + np.arange(-16, 0)
    np.testing.assert_array_equal(long.mask[begins, :-4], reach >= firsts)
    np.testing.assert_array_equal(long.index[begins, :-4], np.maximum(reach, firsts))


def test_segments_hold_one_episode_in_order() -> None:
    segment = sample_segments(filled(LENGTHS), jax.random.key(4), (2, 2, 3), 2_000, 9, WEIGHTS)
    actions, mask = np.asarray(segment.actions), np.asarray(segment.mask)
    episode_of = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    for a, m in zip(actions, mask, strict=True):
        assert np.array_equal(np.diff(a[m]), np.ones(m.sum() - 1))
        assert len(set(episode_of[a[m]])) == 1
        assert not a[~m].any()
    levels = (np.asarray(segment.frames)[..., 0, 0, 0] + 1) / 2 * 255
    np.testing.assert_allclose(levels[mask], actions[mask] % 251, atol=1e-3)
    np.testing.assert_allclose(np.asarray(segment.frames)[~mask], 0)


def test_interleaved_streams_keep_their_episodes_apart() -> None:
    rng, table = np.random.default_rng(0), EpisodeTable(4, 50, num_devices=2)
    dones = rng.random((50, 4)) < 0.2
    starts = np.concatenate([np.ones((1, 4), bool), dones[:-1]])
    for rows in np.split(starts, (7, 30)):
        table.record(rows.T, rows.T)
    episodes, counts = table.arrays()
    for stream in range(4):
        device, local = divmod(stream, 2)
        mine = [e for e in episodes[device, : counts[device]] if e[0] == local]
        ends = [*(np.flatnonzero(dones[:, stream]) + 1)]
        bounds = sorted({0, *ends, 50})
        assert [(first, first + length) for _, first, length, _ in mine] == list(pairwise(bounds))


def test_what_is_passed_over_is_in_no_episode() -> None:
    table, no = EpisodeTable(1, 10), np.zeros((1, 2), bool)
    table.record(np.array([[True, False]]), np.array([[True, False]]))
    table.record(no, no)
    table.record(no, no, first=7)
    episodes, counts = table.arrays()
    assert counts[0] == 2 and table.step == 9
    np.testing.assert_array_equal(episodes[0, :2], [[0, 0, 4, 0], [0, 7, 2, 0]])


def test_a_game_goes_on_after_a_lost_life_and_not_after_its_end() -> None:
    """Episodes of 2 steps: a life lost, the game over, a life lost at the end of a chunk, and what is still played."""
    table = EpisodeTable(1, 10)
    starts = np.array([[True, False]])
    for new_game in (True, False, True, False):
        table.record(starts, starts & new_game)
    episodes, counts = table.arrays()
    assert counts[0] == 4
    np.testing.assert_array_equal(episodes[0, :4, 3], [1, 0, 1, 0])


@pytest.mark.parametrize("finals", [False, True])
def test_what_an_end_led_to_stands_behind_it(finals: bool) -> None:
    """Where finals are kept, the end's own.

    Else the next step of the stream after a lost life; after the end of the game the frame of its last step, once more.
    Nothing stands behind an episode that was cut off, and every other array is as it was.
    """
    number = np.arange(12)[None]
    ends, cut = np.isin(number, (2, 5)), number == 8  # a life lost, the end, a time limit
    starts, game_starts = number % 3 == 0, np.isin(number, (0, 6, 9))
    frames = np.broadcast_to(10 * number.astype(np.uint8)[..., None, None, None], (1, 12, 2, 2, 3))
    played = number.astype(np.int32), number.astype(np.float32), ends, cut, starts, game_starts
    shown_last = np.where(ends[..., None, None, None], frames + 7, 0).astype(np.uint8) if finals else None
    replay = replay_of(Chunk(frames, *played, shown_last))
    for first, behind in ((0, 27 if finals else 30), (3, 57 if finals else 50), (6, None), (9, None)):
        row = next(row for row in np.asarray(replay.episodes[0]) if row[1] == first)
        steps = read(replay, places(Step(*row[:, None], jnp.array([0])), jnp.array([-1]), 6))
        plain, shown = segments(steps, (2, 2, 3)), segments_with_finals(steps, (2, 2, 3))
        for name in ("actions", "rewards", "ends", "mask"):
            np.testing.assert_array_equal(getattr(shown, name), getattr(plain, name))
        np.testing.assert_array_equal(shown.mask[0], [0, 1, 1, 1, 0, 0])
        levels = (np.asarray(shown.frames)[0, :, 0, 0, 0] + 1) / 2 * 255
        own = [127.5, *(10.0 * (first + np.arange(3))), 127.5 if behind is None else behind, 127.5]
        np.testing.assert_allclose(levels, own, atol=1e-3)
        np.testing.assert_allclose(np.asarray(plain.frames)[0, 4], 0)
