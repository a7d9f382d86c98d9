"""Reads and writes an agent's weights in several formats.

| path | format |
|---|---|
| a run's folder, or its `agents/EPOCH` | Orbax; the run's `config.json` describes the networks |
| `FILE.safetensors` | one file, config included; tensors with the reference's names and layouts |
| `FILE.pt` | the reference's `state_dict`, or its `state.pt`; needs torch, and the config is not in it |
| a run of the authors' programs | its newest `FILE.pt`; `authors.read_config` reads its config |
"""

import contextlib
import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils.epath import Path

from edeline_jax.agent import authors
from edeline_jax.agent.reference import from_torch, num_actions, to_torch
from edeline_jax.config import Config, pour, to_dict
from edeline_jax.config.files import load
from edeline_jax.envs import count_actions
from edeline_jax.nn.params import Params
from edeline_jax.runtime.errors import UserError, one_line, shorten
from edeline_jax.runtime.files import absolute, in_bucket, is_special, write_json, writing
from edeline_jax.runtime.torch_file import read_tensors, tensor_bytes
from edeline_jax.workdir.folder import RunFolder

FORMAT = {"format": "edeline-agent", "version": "1"}


class Weights(NamedTuple):
    """Tensors by the reference's names, and the config of their networks if the format contains one."""

    tensors: dict[str, np.ndarray]
    config: Config | None


def read_weights(path: Path, config: Config | None = None) -> Weights:
    """Reads any of the formats.

    Args:
      config: of the networks, if not the one that the format contains.

    Raises:
      UserError: names the file and what is wrong with it.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; give a run, its agents/EPOCH, FILE.safetensors or FILE.pt")
    if is_special(path):
        raise UserError(f"{path}: not a regular file")
    if path.is_dir() and authors.is_run(path):
        return read_weights(authors.newest_agent(path), config)
    try:
        weights = _read(path, config)
        _refuse_wrong_numbers(weights.tensors)
        return weights
    except UserError:
        raise
    except Exception as error:  # Orbax, torch and safetensors raise many kinds on invalid bytes
        raise UserError(f"{path}: not the weights of an agent ({one_line(error)})") from error


def read_agent(path: Path, config: Config | None = None) -> Weights:
    """`read_weights`, and in any case a config: `config` if given, else that of the format or of the authors' run.

    Raises:
      UserError: there is neither.
    """
    weights = read_weights(path, config)
    config = weights.config
    if config is None and (run := authors.run_of(path)) is not None:
        config = authors.read_config(run, load("atari").to_dict())
    if config is None:
        raise UserError(f"{path} does not say of which networks it is: --config is missing (in Python, config=)")
    return weights._replace(config=config)


def checksum(weights: Weights) -> str:
    """A number that differs for other tensors or another config."""
    return _crc32(weights.tensors, json.dumps(to_dict(weights.config)))


def write_weights(path: Path, weights: Weights) -> None:
    """Writes the format given by the path's suffix; a path without one becomes a run folder with only the agent.

    Raises:
      UserError: the path exists, its suffix is unknown, there is no config, the tensors do not fit it, or the format
        has no such agent.
    """
    if path.exists():
        raise UserError(f"{path}: exists already; choose another name")
    if weights.config is None:
        raise UserError("--config is missing: the weights do not say of which networks they are")
    params = to_params(weights, weights.config)
    if path.suffix == ".pt":
        if weights.config.agent.actor_critic.sees_h:
            raise UserError(
                f"{path}: the authors' program has no policy that sees h (config.agent.actor_critic.inputs is "
                "frames_and_h); write FILE.safetensors, or a folder"
            )
        _write(path, tensor_bytes(weights.tensors))
    elif path.suffix == ".safetensors":
        from safetensors.numpy import save

        tensors = {name: np.asarray(x, order="C") for name, x in weights.tensors.items()}
        config = json.dumps(to_dict(weights.config))
        _write(path, save(tensors, FORMAT | {"config": config, "crc32": _crc32(tensors, config)}))
    elif path.suffix == "":
        _write_run(path, params, weights.config)
    else:
        raise UserError(f"{path}: unknown kind; name it FILE.safetensors, FILE.pt, or a folder without a suffix")


def to_params(weights: Weights, config: Config) -> Params:
    """Converts to parameters of the config's networks.

    Raises:
      UserError: tensors do not fit the networks, or the game has another number of actions; names them.
    """
    try:
        params = from_torch(weights.tensors, config)
    except ValueError as error:
        raise UserError(f"the weights do not fit the config: {error}") from error
    actions = num_actions(weights.tensors)
    if config.has_env and actions != count_actions(config.env):
        raise UserError(
            f"the weights are of a game with {actions} actions, {config.env.id} has {count_actions(config.env)}: give "
            "the config of their game"
        )
    return params


def _read(path: Path, config: Config | None) -> Weights:
    if path.is_dir():
        return _read_run(path, config)
    if path.suffix == ".pt":
        return Weights(_read_torch(path), config)
    if path.suffix == ".safetensors":
        return _read_safetensors(path, config)
    raise UserError(f"{path}: unknown kind; give a run, its agents/EPOCH, FILE.safetensors or FILE.pt")


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    tensors = read_tensors(path, part="agent")
    if not tensors:
        raise ValueError("expected a state_dict: names to tensors")
    return tensors


def _refuse_wrong_numbers(tensors: Mapping[str, np.ndarray]) -> None:
    for name, tensor in tensors.items():
        if tensor.dtype.kind not in "fiu":
            raise ValueError(f"{name} is {tensor.dtype}, expected numbers")
        with np.errstate(over="ignore"):
            if not np.isfinite(tensor.astype(np.float32)).all():
                raise ValueError(f"{name} is not finite in float32")


def _own_config(path: Path, values: dict[str, Any]) -> Config:
    """The config that a format contains. A module that it names would be executed: only users can ask for that."""
    if module := values.get("env", {}).get("module"):
        raise UserError(
            f"{path}: its environment is in the module {shorten(str(module))!r}, which is not imported on a file's "
            "word: give the config yourself, --config=run:RUN or another (in Python, config=)"
        )
    return pour(values)


def _read_run(path: Path, config: Config | None) -> Weights:
    _refuse_folder_of_agents(path)
    parent = RunFolder(path.parent.parent)
    run = parent if path.parent == parent.agents else RunFolder(path)
    config = config or _own_config(run.path, run.read_config())
    if run.path == path:
        path = run.newest_agent
        if path is None:
            raise UserError(f"{run.agents}: no agent was saved yet")
    with contextlib.closing(ocp.StandardCheckpointHandler()) as handler:  # a checkpointer would miss the run's metadata
        folder = absolute(path / "default")
        device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        shapes = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), handler.metadata(folder).tree
        )
        params = handler.restore(folder, args=ocp.args.StandardRestore(shapes))
    return Weights(to_torch(params, config), config)


def _refuse_folder_of_agents(path: Path) -> None:
    run = RunFolder(path.parent)
    if path == run.agents and (epochs := run.numbered(path)):
        raise UserError(f"{path}: give one of {', '.join(str(path / str(epoch)) for epoch in epochs)}")


def _read_safetensors(path: Path, config: Config | None) -> Weights:
    from safetensors import safe_open

    if in_bucket(path):
        raise UserError(f"{path}: copy it to a disk first; only runs can be read from a bucket")
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata() or {}
        if {key: metadata.get(key) for key in FORMAT} != FORMAT:
            raise ValueError("it was not written by edeline_jax.convert")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if metadata["crc32"] != _crc32(tensors, metadata["config"]):
            raise ValueError("damaged: its checksum differs")
        return Weights(tensors, config or _own_config(path, json.loads(metadata["config"])))


def _crc32(tensors: Mapping[str, np.ndarray], config: str) -> str:
    """A checksum of names, shapes, values and config; safetensors has none of its own."""
    crc = zlib.crc32(config.encode())
    for name in sorted(tensors):
        crc = zlib.crc32(f"{name}{tensors[name].shape}".encode(), crc)
        crc = zlib.crc32(np.asarray(tensors[name], order="C").tobytes(), crc)
    return str(crc)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as file:
        file.write(content)


def _write_run(path: Path, params: Params, config: Config) -> None:
    path.mkdir(parents=True)
    run = RunFolder(path)
    write_json(run.config, to_dict(config))
    with ocp.CheckpointManager(absolute(run.agents)) as manager:
        manager.save(0, args=ocp.args.StandardSave(params))
