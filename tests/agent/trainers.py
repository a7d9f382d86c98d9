"""Folders as runs of the authors' programs leave them, without their agents' weights."""

import functools
from collections.abc import Mapping
from pathlib import Path

import yaml

from configs.atari import get_config
from edeline_jax.agent import authors
from edeline_jax.config import Config, leaves, to_dict

EDELINE, DIAMOND = (Path(__file__).parent / name for name in ("trainer.yaml", "trainer_diamond.yaml"))


def write_trainer(run: Path, changes: Mapping[str, object], source: Path = EDELINE) -> Path:
    """Writes a trainer.yaml with other values; ... takes a key away. Returns the run's folder."""
    tree = yaml.safe_load(source.read_text())
    for key, value in changes.items():
        *groups, name = key.split(".")
        group = functools.reduce(lambda tree, part: tree[part], groups, tree)
        if value is ...:
            del group[name]
        else:
            group[name] = value
    (run / "config").mkdir(parents=True)
    (run / "config" / "trainer.yaml").write_text(yaml.safe_dump(tree))
    return run


def agent_files(run: Path, *epochs: int) -> Path:
    """Empty files for the agents of these epochs; returns their folder."""
    folder = run / "checkpoints" / "agent_versions"
    folder.mkdir(parents=True)
    for epoch in epochs:
        (folder / f"agent_epoch_{epoch:05d}.pt").touch()
    return folder


def read(run: Path) -> Config:
    """The config of a run's folder, as one of ours."""
    return authors.read_config(authors.run_of(run), get_config().to_dict())


def value(config: Config, key: str) -> object:
    """The value of one key."""
    return leaves(to_dict(config))[f"config.{key}"]
