"""Collection in worlds written in JAX: their games are in the journal, and a resume goes on in them.

And what ends led to, of which DIAMOND's journal and replay keep the frames.
"""

import dataclasses
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest

from edeline_jax.acting.collection import Collector
from edeline_jax.acting.compiled_player import CompiledPlayer
from edeline_jax.acting.player import Player
from edeline_jax.acting.replay_keeper import ReplayKeeper, empty_replay, keeps_finals
from edeline_jax.acting.scoreboard import Game
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import Config, pour
from edeline_jax.dataset.journal import OPEN_GAMES, Journal, files
from edeline_jax.envs import FAMILIES
from edeline_jax.envs.catch import BALL, PADDLE, PALETTE
from edeline_jax.learning.lessons import teaching
from edeline_jax.learning.setup import make_setup
from edeline_jax.replay.buffer import Replay
from edeline_jax.replay.frame import from_float
from edeline_jax.replay.sampling import read
from edeline_jax.runtime.devices import make_mesh
from edeline_jax.world_model.diamond_loss import Lessons
from tests.acting.policies import random_policy, undecided
from tests.tiny_config import get_config

CAPACITY = 40  # of each of 8 streams
VALUES = get_config()
VALUES.env.id, VALUES.collection.epsilon = "recall_16", 0.3
CONFIG = pour(VALUES)
AGENT = build_agent(CONFIG, 2)
POLICY = random_policy(AGENT.actor_critic)


def restored(folder: Path, stop: int) -> tuple[Collector, Replay]:
    """What a start of the run finds in its folder."""
    keeper = ReplayKeeper(CONFIG, make_mesh(), Journal(folder, 8, CONFIG.frame_shape), CAPACITY)
    replay = keeper.restore(empty_replay(CONFIG, make_mesh(), CAPACITY), stop)
    return Collector(CONFIG, AGENT, keeper, jax.random.key(1)), replay


def collected(folder: Path, *starts: tuple[int, ...]) -> tuple[Replay, list[Game]]:
    """The replay and the games after starts that each collect so many steps of all environments, one after another."""
    stop, games = 0, []
    for chunks in starts:
        collector, replay = restored(folder, stop)
        for num_steps in chunks:
            replay, ended = collector.collect(POLICY, replay, num_steps)
            games += ended
        stop = collector.keeper.step
    return replay, games


def test_a_resumed_collection_is_one_that_was_never_stopped(tmp_path: Path) -> None:
    expected, games = collected(tmp_path / "straight", (40, 96, 40, 104))
    replay, same_games = collected(tmp_path / "stopped", (40, 96), (40,), (104,))
    jax.tree.map(np.testing.assert_array_equal, replay, expected)
    assert same_games == games and len(games) > 8
    straight, stopped = ([path for *_, path in files(tmp_path / name)] for name in ("straight", "stopped"))
    for one, other in zip(straight, stopped, strict=True):
        with np.load(one) as arrays, np.load(other) as same_arrays:
            assert arrays.files == same_arrays.files
            for name in arrays.files:
                np.testing.assert_array_equal(same_arrays[name], arrays[name], err_msg=name)


def damage(path: Path, name: str) -> None:
    """Changes a byte of one array."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"{name}.npy")
    content[member.header_offset + 30 + len(member.filename) + member.compress_size // 2] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["frames", f"{OPEN_GAMES}world.delay"])
def test_new_games_begin_behind_what_is_damaged(tmp_path: Path, name: str) -> None:
    """Games that go on would be those of steps that are not there."""
    collected(tmp_path, (40, 40))
    *_, path = files(tmp_path)[-1]
    damage(path, name)
    collector, replay = restored(tmp_path, 10)
    assert collector.keeper.open_games == {}
    replay, _ = collector.collect(POLICY, replay, 80)
    lost = 5 if name == "frames" else 0
    for table, length in zip(np.asarray(replay.episodes), replay.num_episodes, strict=True):
        rows = table[:length]
        assert rows[:, 2].sum() == 20 - lost  # one stream on each of 8 devices
        assert 10 in rows[:, 1]


def test_worlds_in_jax_are_played_in_compiled_programs_and_no_others(tmp_path: Path) -> None:
    collector, replay = restored(tmp_path, 0)
    collector.collect(POLICY, replay, 8)
    assert isinstance(collector._player, CompiledPlayer)
    config = catch("edeline")
    keeper = ReplayKeeper(config, make_mesh(), Journal(tmp_path / "catch", 8, config.frame_shape), CAPACITY)
    agent = build_agent(config, 3)
    collector = Collector(config, agent, keeper, jax.random.key(1))
    collector.collect(random_policy(agent.actor_critic), empty_replay(config, make_mesh(), CAPACITY), 8)
    assert isinstance(collector._player, Player)
    with np.load(tmp_path / "catch" / "000000000-000000001.npz") as arrays:
        assert not any(name.startswith(OPEN_GAMES) for name in arrays.files)


def catch(kind: str, placement: str = "device") -> Config:
    values = get_config()
    values.agent.kind, values.replay.placement = kind, placement
    values.world_model.training.batch_size = 200
    return pour(values)


def collected_in_catch(config: Config, folder: Path) -> tuple[Replay, Replay]:
    """The replay after 12 steps in each of 8 environments, and as it is restored."""
    mesh, agent = make_mesh(jax.devices()[:1]), build_agent(config, 3)

    def begin(stop: int) -> tuple[ReplayKeeper, Replay]:
        keeper = ReplayKeeper(config, mesh, Journal(folder, 8, config.frame_shape), CAPACITY)
        return keeper, keeper.restore(empty_replay(config, mesh, CAPACITY, str(folder.parent)), stop)

    keeper, replay = begin(0)
    collector = Collector(config, agent, keeper, jax.random.key(1))
    replay, _ = collector.collect(undecided(random_policy(agent.actor_critic)), replay, 96)
    return replay, begin(12)[1]


@pytest.mark.parametrize("placement", ["device", "host"])
def test_in_catch_diamond_learns_from_the_frames_that_games_end_with(placement: str, tmp_path: Path) -> None:
    """There the ball has landed: one cell has the paddle's colour after a catch, two have it after a miss."""
    config = catch("diamond", placement)
    setup = make_setup(build_agent(config, 3), config)
    for replay in collected_in_catch(config, tmp_path / "replay"):
        places = jax.device_get(teaching(setup).places(replay.table, jax.random.key(0), setup))
        batch = teaching(setup).batch(Lessons(*(read(replay, own) for own in places)), setup).outcomes
        rows, steps = np.nonzero(batch.ends[:, :-1])
        finals, rewards = np.asarray(from_float(batch.frames[rows, steps + 1])), np.asarray(batch.rewards[rows, steps])
        assert not (finals == PALETTE[BALL]).all(-1).any()
        landed = (finals[:, -1, ::4] == PALETTE[PADDLE]).all(-1).sum(1)
        np.testing.assert_array_equal(landed, np.where(rewards > 0, 1, 2))
        assert {*rewards.tolist()} == {-1.0, 1.0}


def test_edeline_keeps_no_more_than_before(tmp_path: Path) -> None:
    """Neither in the replay, nor in the journal; DIAMOND keeps as much again as the frames."""
    for kind, others in (("edeline", ()), ("diamond", ("finals",))):
        for replay in collected_in_catch(catch(kind), tmp_path / kind):
            assert replay.kept == ("frames", "actions", "rewards", "ends", *others)
            assert len(jax.tree.leaves(replay)) == 6 + len(others)
        with np.load(tmp_path / kind / "000000000-000000012.npz") as arrays:
            assert {*arrays.files} == {*replay.kept, "truncations", "starts", "game_starts"}
    assert replay.finals.nbytes == replay.frames.nbytes == 8 * CAPACITY * 20 * 20 * 3


def test_worlds_without_a_true_last_frame_have_none_kept() -> None:
    """Nor does a static dataset, which has none."""
    assert {family.config for family in FAMILIES if not family.shows_last_frame} == {"atari", "vizdoom"}

    def keeps(id: str, path: str = "") -> bool:
        config = catch("diamond")
        env = dataclasses.replace(config.env, id=id)
        collection = dataclasses.replace(config.collection, path_to_static_dataset=path)
        return keeps_finals(dataclasses.replace(config, env=env, collection=collection))

    assert keeps("catch") and keeps("recall_16") and keeps("craftax")
    assert not (keeps("breakout") or keeps("vizdoom/basic") or keeps("none") or keeps("catch", "data"))
