"""What wandb is given, and starts without wandb; nothing here reaches a network."""

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from edeline_jax.config import Config, pour
from edeline_jax.runtime.errors import UserError
from edeline_jax.workdir.opening import open_workdir
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
