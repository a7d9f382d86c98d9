"""What wandb is given, and starts without wandb; nothing here reaches a network."""

import dataclasses
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from edeline_jax.config import Config, pour
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import to_path
from edeline_jax.workdir import wandb_log
from edeline_jax.workdir.metrics import MetricsLog
from edeline_jax.workdir.opening import open_workdir
from edeline_jax.workdir.progress import Progress
from edeline_jax.workdir.wandb_log import init_settings
from tests.runs import ROOT, environment
from tests.tiny_config import get_config


def config(**wandb: object) -> Config:
    values = get_config()
    values.wandb.update(wandb)
    return pour(values)


def test_what_wandb_is_given(tmp_path: Path) -> None:
    """An empty text or tuple leaves the choice to wandb; the id stays that of the folder."""
    (tmp_path / "wandb_id").write_text("0a1b2c3d")
    fixed = {"dir": str(tmp_path), "id": "0a1b2c3d", "resume": "allow", "config": {"seed": 3}}
    bare = config(mode="offline", project="p").wandb
    nothing = dict.fromkeys(("entity", "name", "group", "tags", "notes"))
    assert init_settings(tmp_path, bare, {"seed": 3}) == {"mode": "offline", "project": "p", **nothing, **fixed}
    said = {"entity": "e", "name": "n", "group": "g", "tags": ("paper", "5 seeds"), "notes": "with churn"}
    full = dataclasses.replace(bare, **said)
    assert init_settings(tmp_path, full, {"seed": 3}) == {"mode": "offline", "project": "p", **said, **fixed}


def test_wandb_knows_these_settings(tmp_path: Path) -> None:
    import wandb

    inspect.signature(wandb.init).bind(**init_settings(tmp_path, config().wandb, {}))


def test_wandb_takes_these_pictures(tmp_path: Path) -> None:
    import wandb

    for name in ("returns.png", "imagination.gif"):
        Image.new("RGB", (7, 5)).save(tmp_path / name)
    shown = dict(wandb_log._media(wandb, to_path(str(path))) for path in tmp_path.iterdir())
    assert isinstance(shown["films/imagination"], wandb.Video) and isinstance(shown["pictures/returns"], wandb.Image)


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_start_without_wandb_is_refused_before_it_leaves_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    message = rf"^wandb\.mode={mode} needs wandb: pip install wandb, or --config\.wandb\.mode=disabled"
    with pytest.raises(UserError, match=message):
        open_workdir(str(tmp_path / "run"), config(mode=mode), (), print)
    assert not (tmp_path / "run").exists()
    open_workdir(str(tmp_path / "run"), config(), (), print).release()


def test_a_folder_that_wandb_left_is_not_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wandb").mkdir()
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(UserError, match="needs wandb"):
        open_workdir(str(tmp_path / "run"), config(mode="offline"), (), print)


def test_no_program_needs_wandb_to_begin() -> None:
    modules = ("training.job", "convert", "report.__main__", "dataset.__main__")
    code = f"import sys; sys.modules['wandb'] = None; import {', '.join(f'edeline_jax.{name}' for name in modules)}"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


FAKE = """
import json


class Run:
    def __init__(self, name):
        self.name = name

    def log(self, line):
        with open(self.name, "a") as file:
            file.write(json.dumps(line) + "\\n")

    def finish(self):
        self.log("finished")


def init(**settings):
    return Run(settings["dir"] + "/received.jsonl")


def Video(content, format):
    return [format, content.read().hex()]


def Image(picture):
    return ["image", *picture.size, *picture.getpixel((0, 0))]
"""


def test_lines_and_pictures_arrive_in_the_other_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "wandb.py").write_text(FAKE)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    picture, film = tmp_path / "returns.png", tmp_path / "imagination.gif"
    Image.new("RGB", (7, 5), (250, 3, 9)).save(picture)
    Image.new("L", (2, 2)).save(film)
    log = MetricsLog(to_path(str(tmp_path)), config(mode="offline"), Progress(), [])
    progress = Progress(epoch=2, env_steps=80, wall_time=1.5)
    log.write(progress, (5, 3), "test", {"return_mean": 0.25})
    log.show(progress, (5, 3), [to_path(str(picture)), to_path(str(film))])
    log.close()
    counters = {"epoch": 2, "env_steps": 80, "wall_time": 1.5, "world_model_updates": 5, "actor_critic_updates": 3}
    assert [json.loads(line) for line in (tmp_path / "received.jsonl").read_text().splitlines()] == [
        counters | {"test/return_mean": 0.25},
        counters
        | {"pictures/returns": ["image", 7, 5, 250, 3, 9], "films/imagination": ["gif", film.read_bytes().hex()]},
        "finished",
    ]
