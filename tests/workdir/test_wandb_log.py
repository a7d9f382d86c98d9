"""What wandb is told, and what happens without it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from configs.atari import get_config
from edeline_jax.config import pour
from edeline_jax.config.schema import WandbConfig
from edeline_jax.runtime.errors import UserError
from edeline_jax.workdir.wandb_log import WandbLog, settings_of
from tests.runs import ROOT, environment


def config(**values: object) -> WandbConfig:
    whole = get_config()
    whole.wandb.update(mode="offline", **values)
    return pour(whole).wandb


def test_wandb_gets_the_keys_of_the_config(tmp_path: Path) -> None:
    chosen = {"entity": "us", "name": "first", "group": "all", "tags": ("a", "b"), "notes": "why"}
    told = settings_of(tmp_path, config(**chosen))
    id = (tmp_path / "wandb_id").read_text()
    fixed = {"project": "edeline-jax", "mode": "offline", "dir": str(tmp_path), "id": id, "resume": "allow"}
    assert told == fixed | chosen
    assert settings_of(tmp_path, config()) == fixed | dict.fromkeys(chosen)  # and the same id again


def test_a_run_that_wants_wandb_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^config\.wandb\.mode=offline needs wandb: pip install wandb, or "):
        WandbLog(tmp_path, config(), {})
    assert not list(tmp_path.iterdir())


def test_nothing_else_needs_it() -> None:
    """The programs, as they are where it is not installed."""
    code = "import sys; sys.modules['wandb'] = None\nimport edeline_jax.training.job, edeline_jax.evaluation.exam\n"
    code += "import edeline_jax.agent.weights, edeline_jax.report.grid, edeline_jax.dataset.__main__"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
