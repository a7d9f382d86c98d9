"""Initialises chosen parts of an agent with the weights of another run or of an exported agent."""

import jax
import numpy as np
from etils.epath import Path

from edeline_jax.agent.reference import from_torch, num_actions, to_torch
from edeline_jax.agent.weights import read_weights
from edeline_jax.config import Config
from edeline_jax.config.schema import InitializationConfig
from edeline_jax.nn.params import Params
from edeline_jax.runtime.errors import UserError
from edeline_jax.workdir.example import agent_path

# key of the config -> prefixes of the names of its tensors, EDELINE's and DIAMOND's
PARTS = {
    "load_denoiser": ("world_model.denoiser.", "denoiser."),
    "load_rew_end_model": (
        "world_model.recurrent_emb.",
        "world_model.rew_end_model.",
        "world_model.harmony_",
        "rew_end_model.",
    ),
    "load_actor_critic": ("actor_critic.",),
}


def with_initial_weights(params: Params, config: Config) -> Params:
    """Replaces the parts of fresh parameters that `config.initialization` selects by those in its file.

    The result is on the same devices as `params`.

    Raises:
      UserError: tensors are missing in the file or have another shape; names them.
    """
    c = config.initialization
    return with_weights_of(agent_path(c.path_to_ckpt), params, config, _prefixes(c)) if c.path_to_ckpt else params


def with_weights_of(source: Path, params: Params, config: Config, prefixes: tuple[str, ...] = ("",)) -> Params:
    """Replaces the parameters whose tensors' names begin with one of `prefixes`; see `with_initial_weights`."""
    ours = to_torch(params, config)
    theirs = read_weights(source).tensors
    chosen = [name for name in ours if name.startswith(prefixes)]
    _refuse_misfits(source, {name: ours[name] for name in chosen}, theirs)
    merged = from_torch(ours | {name: theirs[name] for name in chosen}, config)
    return jax.tree.map(_placed_like, params, merged)


def _placed_like(old: jax.Array, new: jax.Array) -> jax.Array:
    return jax.make_array_from_callback(old.shape, old.sharding, lambda part: np.asarray(new)[part])


def _prefixes(config: InitializationConfig) -> tuple[str, ...]:
    return tuple(prefix for key, prefixes in PARTS.items() if getattr(config, key) for prefix in prefixes)


def _refuse_misfits(source: Path, ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    actions = [num_actions(tensors) for tensors in (theirs, ours)]
    if 0 < actions[0] != actions[1] > 0:
        raise UserError(
            f"{source} is the agent of a game with {actions[0]} actions, this one has {actions[1]}: take another, "
            "or leave out the parts that know the actions (config.initialization.load_rew_end_model=False, "
            "load_actor_critic=False)"
        )
    found = {name: theirs[name].shape if name in theirs else "missing" for name in ours}
    misfits = [f"{name} is {found[name]}, expected {x.shape}" for name, x in ours.items() if found[name] != x.shape]
    if misfits:
        more = f" and {len(misfits) - 3} more" if len(misfits) > 3 else ""
        raise UserError(
            f"{source} does not fit: {'; '.join(misfits[:3])}{more}; change the networks, or leave the part out "
            f"(config.initialization: {', '.join(PARTS)})"
        )
