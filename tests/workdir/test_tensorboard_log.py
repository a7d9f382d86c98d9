"""TensorBoard's event files, read back: points, pictures, and what a resumed run makes of them."""

import json
import logging
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from edeline_jax.config import Config, pour
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import to_path
from edeline_jax.training import run
from edeline_jax.workdir import tensorboard_log
from edeline_jax.workdir.metrics import MetricsLog
from edeline_jax.workdir.opening import open_workdir
from edeline_jax.workdir.progress import Progress
from tests.in_process import train_here
from tests.runs import rows
from tests.tiny_config import get_config

needs_writer = pytest.mark.skipif(
    tensorboard_log.importlib.util.find_spec("tensorboardX") is None,
    reason="tensorboardX (extra tensorboard) is missing",
)


def config(tensorboard: bool = True) -> Config:
    values = get_config()
    values.tensorboard = tensorboard
    return pour(values)


def events(folder: Path) -> Iterator:
    """The events in the files of a folder: TFRecords, each a length, its checksum, the event and its checksum."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    for path in sorted(folder.glob("events.*")):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            data, (checksum,) = content[12 : 12 + length], struct.unpack("<I", content[12 + length : 16 + length])
            assert checksum == masked_crc32c(data)
            yield Event.FromString(data)
            content = content[16 + length :]


def points(workdir: Path) -> dict[str, list[tuple[int, float]]]:
    """(x, y) of every curve."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for event in events(workdir / "tensorboard"):
        for value in event.summary.value:
            curves.setdefault(value.tag, []).append((event.step, value.simple_value))
    return curves


def voids(folder: Path) -> list[int]:
    """The steps from which on TensorBoard drops what it has read before."""
    return [event.step for event in events(folder) if event.HasField("session_log")]


@needs_writer
def test_every_value_is_a_point_against_the_counter_of_its_group(tmp_path: Path) -> None:
    log = MetricsLog(to_path(str(tmp_path)), config(), Progress(), [])
    for epoch in (1, 2):
        progress = Progress(epoch=epoch, env_steps=100 * epoch, wall_time=10.0 * epoch)
        for group in ("world_model", "actor_critic", "test", "test_world_model", "collect"):
            log.write(progress, (11 * epoch, 5 * epoch), group, {"x": epoch + 0.5})
    log.close()
    y = [1.5, 2.5]
    steps, world_model, actor_critic = (list(zip(x, y, strict=True)) for x in ([100, 200], [11, 22], [5, 10]))
    assert points(tmp_path) == {
        "world_model/x": world_model,
        "actor_critic/x": actor_critic,
        "test/x": steps,
        "test_world_model/x": world_model,
        "collect/x": steps,
    }
    times = [event.wall_time for event in events(tmp_path / "tensorboard") if event.summary.value]
    assert times[-1] - times[0] == pytest.approx(10)
    assert voids(tmp_path / "tensorboard") == [0]


@needs_writer
def test_pictures_are_the_files_that_were_drawn_and_stay_over_a_resume(tmp_path: Path) -> None:
    films = [tmp_path / "curve.png", tmp_path / "film.gif"]
    Image.new("RGB", (7, 5), "red").save(films[0])
    Image.new("L", (9, 4)).save(films[1], save_all=True, append_images=[Image.new("L", (9, 4), 255)])
    for env_steps in (100, 200):
        log = MetricsLog(to_path(str(tmp_path)), config(), Progress(env_steps=env_steps - 60), [])
        log.show(Progress(env_steps=env_steps), (1, 2), [to_path(str(path)) for path in films])
        log.close()
        (tmp_path / "tensorboard" / "pictures").rename(tmp_path / str(env_steps))  # equal names within a second
    for env_steps in (100, 200):
        shown = [(event.step, v) for event in events(tmp_path / str(env_steps)) for v in event.summary.value]
        assert [(step, v.tag, v.image.width, v.image.height) for step, v in shown] == [
            (env_steps, "curve.png", 7, 5),
            (env_steps, "film.gif", 9, 4),
        ]
        assert [v.image.encoded_image_string for _, v in shown] == [path.read_bytes() for path in films]
        assert voids(tmp_path / str(env_steps)) == [env_steps - 59]


@needs_writer
@pytest.mark.ci
def test_a_resumed_run_shows_its_past_and_nothing_twice(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorBoard is turned on late; lines after the checkpoint, as a killed run leaves them, are not shown."""
    monkeypatch.setattr(run, "draw_dream", lambda *arguments: [])  # films take long to compile
    before = rows(finished)
    stale = before[-1] | {"wall_time": before[-1]["wall_time"] + 1, "collect/return_mean": 99.0, "collect/stale": 1.0}
    with (finished / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(stale) + "\n")
    for final_epochs in (2, 3):
        train_here(finished, {"tensorboard": True, "training.num_final_epochs": final_epochs}, pictures=True)
    curves = points(finished)
    assert "collect/stale" not in curves
    lines = [line for line in rows(finished) if "collect/stale" not in line]
    for name, counter in (
        ("world_model/loss_rew", "world_model_updates"),
        ("actor_critic/loss_values", "actor_critic_updates"),
        ("collect/return_mean", "env_steps"),
    ):
        expected = [(line[counter], line[name]) for line in lines if name in line]
        assert len(expected) >= 2 and expected == sorted(set(expected))
        assert curves[name] == [(x, pytest.approx(y, rel=1e-6)) for x, y in expected], name
    assert len(list((finished / "tensorboard").glob("events.*"))) == 1
    shown = [v.tag for event in events(finished / "tensorboard" / "pictures") for v in event.summary.value]
    assert set(shown) == {"returns.png", "world_model.png", "actor_critic.png"}


@needs_writer
def test_a_full_disk_costs_only_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from tensorboardX.event_file_writer import EventsWriter

    log = MetricsLog(to_path(str(tmp_path)), config(), Progress(), [])

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(EventsWriter, "write_event", full)
    with caplog.at_level(logging.WARNING, "edeline_jax"):
        for epoch in range(3):
            log.write(Progress(epoch=epoch), (0, 0), "test", {"x": 1.0})
        log.close()
    assert [row["epoch"] for row in rows(tmp_path)] == [0, 1, 2]
    assert caplog.text.count("tensorboard cannot be written") == 1


def test_a_start_without_the_writer_is_refused_before_it_leaves_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard_log.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^tensorboard=True needs tensorboardX: pip install 'edeline-jax\[tensorb"):
        open_workdir(str(tmp_path / "run"), config(), (), print)
    assert not (tmp_path / "run").exists()
    open_workdir(str(tmp_path / "run"), config(False), (), print).release()


def test_a_bucket_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard_log.importlib.util, "find_spec", lambda name: sys)
    with pytest.raises(UserError, match=r"gs://bucket/run is in a bucket, and event files need a --workdir on a disk"):
        tensorboard_log.require_tensorboard(True, to_path("gs://bucket/run"))
