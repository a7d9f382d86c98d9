"""What a visitor sees: pictures, real games, and what the keys do to them."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edeline_jax.dataset.episodes import open_dataset
from edeline_jax.envs import make_env
from edeline_jax.play.messages import Message, MessageError
from edeline_jax.play.picture import decode
from edeline_jax.play.session import Session
from edeline_jax.play.stage import Stage
from edeline_jax.runtime.files import to_path
from tests.play.stages import CONFIG, L, library, make_action_stage, ticked, told
from tests.world_model.rules import level

SEED = 7


@pytest.fixture(scope="module")
def action_stage() -> Iterator[Stage]:
    stage = make_action_stage()
    yield stage
    stage.programs.close()


@pytest.fixture
def session(action_stage: Stage) -> Iterator[Session]:
    """In a dream that shows the latest action; its first picture has been shown."""
    session = Session(action_stage, SEED)
    ticked(session)
    yield session
    session.close()


def shown_action(images: dict) -> int:
    (value,) = set(np.asarray(images["dream"]).ravel().tolist())
    return next(action for action in range(3) if abs(int(level(action)) - value) <= 1)


def test_keys_act_for_as_long_as_they_are_held(session: Session) -> None:
    """A key that is pressed and let go between two steps counts for one; without keys the idle action is taken."""
    actions = []
    for held in (None, 2, "go on", None, "tap", "go on", 0):
        if held == "tap":
            told(session, "act", action=2)
            told(session, "act", action=None)
        elif held != "go on":
            told(session, "act", action=held)
        actions.append(shown_action(ticked(session)[1]))
    assert actions == [1, 2, 2, 1, 2, 1, 0]


def test_a_pause_stops_time_and_a_step_is_one(session: Session) -> None:
    told(session, "pause", paused=True)
    header, _ = ticked(session)
    assert header["settings"]["paused"] and header["dream"]["step"] == 0
    assert session.tick() == [] == session.tick()
    told(session, "act", action=2)
    told(session, "step")
    header, images = ticked(session)
    assert header["dream"]["step"] == 1 and shown_action(images) == 2
    assert session.tick() == []
    told(session, "pause", paused=False)
    assert ticked(session)[0]["dream"]["step"] == 2


def test_again_begins_at_the_same_start_and_next_at_another(session: Session) -> None:
    def begin(kind: str, **values: object) -> np.ndarray:
        ticked(session)
        told(session, kind, **values)
        start, picture = (decode(answer) for answer in session.tick())
        assert start[0]["kind"] == "start" and picture[0]["dream"]["step"] == 0
        np.testing.assert_array_equal(start[1]["start"], picture[1]["dream"])
        return picture[1]["dream"]

    frames = [library().start(*library().place(number)).frames[-1] for number in (-1, 0, 1)]
    np.testing.assert_array_equal(begin("reset"), frames[1])
    np.testing.assert_array_equal(begin("next", by=1), frames[2])
    np.testing.assert_array_equal(begin("reset"), frames[2])
    np.testing.assert_array_equal(begin("next", by=-1), frames[1])
    np.testing.assert_array_equal(begin("next", by=-1), frames[0])


def test_the_horizon_may_change_and_be_off(session: Session) -> None:
    told(session, "horizon", horizon=3)
    assert [ticked(session)[0]["dream"]["cut"] for _ in range(8)] == [False, False, True, False] * 2
    told(session, "horizon", horizon=None)
    assert not any(ticked(session)[0]["dream"]["cut"] for _ in range(60))


def test_a_dream_begins_at_any_recorded_frame_that_one_looks_at(session: Session) -> None:
    ((look, images, _),) = told(session, "look", episode=1, step=7)
    episode = library().episodes[1]
    np.testing.assert_array_equal(images["look"], episode.frames[7])
    assert (look["action"], look["reward"]) == (episode.actions[7], episode.rewards[7])
    for step, newest in ((7, 7), (0, L - 1)):
        told(session, "start", episode=1, step=step)
        np.testing.assert_array_equal(ticked(session)[1]["dream"], episode.frames[newest])
    told(session, "horizon", horizon=1)
    ticked(session)
    np.testing.assert_array_equal(ticked(session)[1]["dream"], episode.frames[L - 1])  # the same again
    for wrong in ({"episode": 3, "step": 0}, {"episode": 1, "step": 11}):
        with pytest.raises(MessageError, match="no such step"):
            told(session, "start", **wrong)


def png(frame: np.ndarray, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(frame).save(content, kind)
    return content.getvalue()


def test_a_dream_begins_at_a_picture(session: Session) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    assert session.upload(png(picture.repeat(3, 0).repeat(3, 1))) == []
    np.testing.assert_array_equal(ticked(session)[1]["dream"], picture)
    for wrong in (
        b"",
        b"\x89PNG\r\n\x1a\n",
        png(picture)[:-30],
        png(picture, "JPEG"),
        png(np.zeros((1, 5000, 3), np.uint8)),
    ):
        (note,) = session.upload(wrong)
        assert "picture" in decode(note)[0]["text"]
    assert ticked(session)[0]["dream"]["step"] == 1


def test_the_strip_shows_how_a_frame_comes_out_of_noise(session: Session) -> None:
    told(session, "strip", shown=True)
    _, images = ticked(session)
    assert list(images) == ["dream", "noise0", "noise1"]
    np.testing.assert_array_equal(images["noise1"], images["dream"])
    assert len(set(np.asarray(images["noise0"]).ravel().tolist())) > 50


def catch_game(actions: list[int], seed: int) -> list[np.ndarray]:
    env = make_env(CONFIG.env, 1, seed, False)
    frames = [env.reset()[0]]
    frames += [env.step(np.array([action])).final_obs[0] for action in actions]
    env.close()
    return frames


def paddle(frame: np.ndarray) -> int:
    """The column of the paddle's cell."""
    return int((frame[-1, ::4] == (60, 200, 255)).all(-1).argmax())


def test_keys_move_the_paddle_of_the_real_game(session: Session) -> None:
    told(session, "world", world="real")
    header, images = ticked(session)
    assert list(images) == ["real"] and "dream" not in header
    columns = [paddle(images["real"])]
    for action in (0, 0, 0, 0, 2, 2):
        told(session, "act", action=action)
        columns.append(paddle(ticked(session)[1]["real"]))
    moves = np.diff(columns)
    assert (moves[:4] <= 0).all() and columns[4] == 0 and moves[4:].tolist() == [1, 1]


def test_side_by_side_both_begin_alike_and_take_the_same_actions(session: Session) -> None:
    told(session, "world", world="both")
    header, images = ticked(session)
    np.testing.assert_array_equal(images["dream"], images["real"])
    assert header["difference"] == 0
    told(session, "act", action=2)
    header, images = ticked(session)
    assert header["dream"]["action"] == header["real"]["action"] == 2 == shown_action(images)
    gap = np.asarray(images["dream"], float) - images["real"]
    np.testing.assert_allclose(header["difference"], np.sqrt((gap**2).mean()), rtol=1e-5)
    first = images["real"]
    told(session, "reset")
    ticked(session)
    told(session, "act", action=2)
    np.testing.assert_array_equal(ticked(session)[1]["real"], first)  # the same game again
    told(session, "driver", driver="policy")
    header, _ = ticked(session)
    assert header["dream"]["action"] == header["real"]["action"]


def test_a_game_that_is_over_is_followed_by_another(session: Session) -> None:
    told(session, "world", world="real")
    headers = [ticked(session)[0]["real"] for _ in range(2 * (9 - L + 2))]
    ends = [header["end"] for header in headers]
    assert ends == ([False] * (9 - L + 1) + [True]) * 2
    assert all(abs(header["total"]) == header["end"] for header in headers)


# --- recordings ---


def test_what_is_played_becomes_a_dataset_and_a_film(session: Session, tmp_path: Path) -> None:
    ((note, *_),) = told(session, "download", file="dataset")
    assert "nothing is recorded" in note["text"]
    told(session, "horizon", horizon=4)
    told(session, "record", on=True)
    pictures, actions = [], []
    for action in (0, 2, 1, 0, None, 2, 2):
        told(session, "act", action=action)
        header, images = ticked(session)
        pictures.append(images["dream"])
        actions.append(header["dream"]["action"])
    told(session, "record", on=False)
    ticked(session)
    (job,) = session.receive(Message("download", {"file": "dataset"}))
    header, _, file = decode(job())
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        archive.extractall(tmp_path)
    dataset = open_dataset(to_path(str(tmp_path / "episodes")))
    first, second = dataset.episodes()
    assert dataset.num_actions == 3 and header["name"] == "episodes.zip"
    assert first.actions.tolist() == [0, 2, 1, 0] and second.actions.tolist() == [2, 2]
    assert first.rewards.tolist() == [1, 1, 1, 1] and first.truncations.tolist() == [False, False, False, True]
    np.testing.assert_array_equal(first.frames, [library().start(*library().place(0)).frames[-1], *pictures[:3]])
    (job,) = session.receive(Message("download", {"file": "gif"}))
    header, _, film = decode(job())
    with Image.open(io.BytesIO(film)) as gif:
        assert header["name"] == "play.gif" and gif.n_frames >= 2
        assert gif.convert("RGB").getpixel((0, 0)) == tuple(int(x) for x in pictures[0][0, 0])


def test_an_mp4_of_what_was_played_plays(session: Session, tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="the extra `video` is not installed: no MP4")
    told(session, "record", on=True)
    pictures = []
    for action in (0, 2, 1, 0):
        told(session, "act", action=action)
        pictures.append(ticked(session)[1]["dream"])
    assert len({int(picture.mean()) for picture in pictures}) > 1
    (job,) = session.receive(Message("download", {"file": "mp4"}))
    header, _, film = decode(job())
    assert header["name"] == "play.mp4"
    (tmp_path / "play.mp4").write_bytes(film)
    reader = ffmpeg.read_frames(str(tmp_path / "play.mp4"))
    width, height = next(reader)["size"]
    shown = [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]
    assert len(shown) == len(pictures)
    for frame, picture in zip(shown, pictures, strict=True):
        assert np.abs(frame.mean((0, 1)) - picture.mean((0, 1))).max() < 8  # it is compressed
