"""Converts weights from and to the reference's `state_dict`, a mapping of names to numpy arrays; torch is not needed.

Every tensor of the reference has one counterpart here, except for the queries and keys of cross-attention to a single
vector, which have no effect: they are dropped on import and filled with zeros on export.
"""

import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from edeline_jax.agent.networks import agent_shapes, build_agent
from edeline_jax.config import Config
from edeline_jax.nn.params import Params

# our path -> the reference's name, applied in order
RENAMES = (
    (r"/params/", "."),
    (r"/", "."),
    (r"\.encoder\.conv_in\.", ".encoder.encoder.0."),
    (r"(\.encoder\.encoder\.\d+)\.norm\.", r"\1.f.0.norm."),
    (r"(\.encoder\.encoder\.\d+)\.conv\.", r"\1.f.2."),
    (r"recurrent_emb\.embedding_proj\.", "recurrent_emb.embedding_proj.0."),
    (r"act_emb$", "act_emb.weight"),
    (r"\.conv_(kernel|bias)$", r".conv1d.\1"),
    (r"(layers|blocks|downsamples|upsamples|cond_proj)_(\d)", r"\1.\2"),
    (r"\.linear_(\d)\.", r".\1."),
    (r"(attn|cross_attn)\.norm\.", r"\1.norm.norm."),
    (r"norm_out\.", "norm_out.norm."),
    (r"\.(kernel|scale)$", ".weight"),
)
# then, of DIAMOND's
DIAMOND_RENAMES = (
    (r"^world_model\.", ""),
    (r"^rew_end_model\.(conv_in|blocks|downsamples)\.", r"rew_end_model.encoder.\1."),
    (r"^(rew_end_model\.lstm\.\w+)$", r"\1_l0"),
    (r"\.inner_model\.act_emb\.", ".inner_model.act_emb.0."),
)
# kind of agent -> a tensor with a row for each action
ACTION_EMBEDDINGS = {
    "edeline": "world_model.recurrent_emb.act_emb.weight",
    "diamond": "rew_end_model.act_emb.weight",
}
DEAD = re.compile(r"(.*\.cross_attn)\.[qk]_proj\.(weight|bias)$")


def from_torch(state_dict: Mapping[str, np.ndarray], config: Config) -> Params:
    """Parameters from the reference's tensors.

    Args:
      state_dict: `world_model.*` and `actor_critic.*`, of DIAMOND `denoiser.*`, `rew_end_model.*` and
        `actor_critic.*`; arrays or anything numpy converts.
      config: of the same networks; the number of actions is read from the tensors.

    Raises:
      ValueError: tensors are missing, unknown or misshapen; names them.
    """
    tensors = {name: np.asarray(value, np.float32) for name, value in state_dict.items() if not DEAD.match(name)}
    kind = config.agent.kind
    for other in ACTION_EMBEDDINGS.keys() - {kind}:
        if ACTION_EMBEDDINGS[other] in tensors:
            raise ValueError(f"they are of an agent of kind {other}, config.agent.kind is {kind}")
    embedding = ACTION_EMBEDDINGS[kind]
    if embedding not in tensors:
        raise ValueError(f"missing tensors: {embedding}")
    if tensors[embedding].ndim != 2 or not tensors[embedding].size:
        raise ValueError(f"{embedding} is {tensors[embedding].shape}, expected a row for each action")
    template = _template(config, len(tensors[embedding]))
    names = _names(template, config)
    _refuse("missing tensors", set(names.values()) - set(tensors))
    _refuse("unknown tensors", set(tensors) - set(names.values()))
    expected = {
        name: _to_torch_shape(path, leaf.shape)
        for (path, name), leaf in zip(names.items(), jax.tree.leaves(template), strict=True)
    }
    _refuse(
        "misshapen tensors",
        {
            f"{name} is {tensors[name].shape}, expected {shape}"
            for name, shape in expected.items()
            if tensors[name].shape != shape
        },
    )

    def place(path: tuple, leaf: jax.ShapeDtypeStruct) -> jax.Array:
        return jnp.asarray(_from_torch_layout(path, tensors[names[path]], leaf.shape))

    return jax.tree_util.tree_map_with_path(place, template)


def to_torch(params: Params, config: Config) -> dict[str, np.ndarray]:
    """The reference's `state_dict` of our parameters; the inverse of `from_torch`."""
    names = _names(params, config)
    leaves = jax.tree_util.tree_leaves_with_path(params)
    tensors = {names[path]: _to_torch_layout(path, np.asarray(leaf)) for path, leaf in leaves}
    return tensors | _dead_tensors(tensors)


def num_actions(state_dict: Mapping[str, np.ndarray]) -> int:
    """The number of actions of an agent's tensors; 0 if they do not tell."""
    found = [state_dict[name] for name in ACTION_EMBEDDINGS.values() if name in state_dict]
    return len(np.atleast_1d(found[0])) if found else 0


def _template(config: Config, num_actions: int) -> Params:
    return agent_shapes(build_agent(config, num_actions), config.frame_shape)


def _refuse(problem: str, found: set[str]) -> None:
    if found:
        raise ValueError(f"{problem}: {'; '.join(sorted(found))}")


def _names(params: Params, config: Config) -> dict[tuple, str]:
    return {path: _name(_join(path), config) for path, _ in jax.tree_util.tree_leaves_with_path(params)}


def _join(path: tuple) -> str:
    return "/".join(str(entry.key) for entry in path)


def _name(path: str, config: Config) -> str:
    encoder = config.agent.recurrent_emb if path.startswith("world_model") else config.agent.actor_critic

    def block_index(match: re.Match) -> str:  # the reference counts its poolings as layers
        i = int(match[1])
        return f"encoder/encoder/{1 + i + sum(encoder.down[:i])}/"

    name = re.sub(r"encoder/blocks_(\d+)/", block_index, path)
    for pattern, replacement in RENAMES + (DIAMOND_RENAMES if config.agent.kind == "diamond" else ()):
        name = re.sub(pattern, replacement, name)
    return re.sub(r"\.conv1d\.kernel$", ".conv1d.weight", name)


def _to_torch_layout(path: tuple, x: np.ndarray) -> np.ndarray:
    leaf = path[-1].key
    if leaf == "kernel" and x.ndim == 4:
        return x.transpose(3, 2, 0, 1)
    if leaf == "conv_kernel":
        return x.T[:, None]
    if "noise_emb" in _join(path):
        return x[None]
    return x.T if leaf in ("kernel", "weight_ih", "weight_hh") else x


def _to_torch_shape(path: tuple, shape: tuple[int, ...]) -> tuple[int, ...]:
    return _to_torch_layout(path, np.broadcast_to(np.float32(0), shape)).shape


def _from_torch_layout(path: tuple, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    leaf = path[-1].key
    if leaf == "kernel" and x.ndim == 4:
        return x.transpose(2, 3, 1, 0)
    if leaf == "conv_kernel":
        return x[:, 0].T
    return x.T if leaf in ("kernel", "weight_ih", "weight_hh") else x.reshape(shape)


def _dead_tensors(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    zeros = {}
    for name, value in tensors.items():
        if name.endswith("cross_attn.v_proj.weight"):
            prefix = name.removesuffix("v_proj.weight")
            C, K = value.shape
            shapes = {"q_proj.weight": (C, C, 1, 1), "q_proj.bias": (C,), "k_proj.weight": (C, K), "k_proj.bias": (C,)}
            zeros |= {prefix + key: np.zeros(shape, np.float32) for key, shape in shapes.items()}
    return zeros
