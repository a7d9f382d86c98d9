"""Agents outside of their runs: files, folders, parts."""

import os
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from edeline_jax.agent.initialization import with_initial_weights, with_weights_of
from edeline_jax.agent.networks import agent_shapes, build_agent
from edeline_jax.agent.reference import ACTION_EMBEDDINGS, DEAD
from edeline_jax.agent.weights import Weights, read_weights, to_params, write_weights
from edeline_jax.config import Config, pour, to_dict
from edeline_jax.nn.params import Params
from edeline_jax.runtime.errors import UserError
from tests.golden_data import assert_close, channels_last, config, load, params
from tests.mutations import mutated


def test_a_file_carries_tensors_and_config(tmp_path: Path) -> None:
    weights = Weights(dict(load("agent")), config())
    write_weights(tmp_path / "agent.safetensors", weights)
    back = read_weights(tmp_path / "agent.safetensors")
    assert back.config == config() and set(back.tensors) == set(weights.tensors)
    for name, tensor in weights.tensors.items():
        np.testing.assert_array_equal(back.tensors[name], tensor)


def test_a_folder_becomes_a_run_with_an_agent(tmp_path: Path) -> None:
    write_weights(tmp_path / "run", Weights(dict(load("agent")), config()))
    for path in (tmp_path / "run", tmp_path / "run" / "agents" / "0"):
        back = read_weights(path)
        assert back.config == config()
        for name, tensor in load("agent").items():
            np.testing.assert_array_equal(back.tensors[name], np.zeros_like(tensor) if DEAD.match(name) else tensor)


def test_a_reference_checkpoint_converts_acts_and_converts_back(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the extra `torch` is not installed: no .pt files")
    tensors = {name: torch.from_numpy(np.array(x)) for name, x in load("agent").items()}
    torch.save(tensors, tmp_path / "agent.pt")
    weights = read_weights(tmp_path / "agent.pt")
    write_weights(tmp_path / "agent.safetensors", weights._replace(config=config()))
    write_weights(tmp_path / "back.pt", read_weights(tmp_path / "agent.safetensors"))
    back = torch.load(tmp_path / "back.pt", weights_only=True)
    assert set(back) == set(tensors) and all(torch.equal(back[name], x) for name, x in tensors.items())

    modules, converted = load("modules"), to_params(read_weights(tmp_path / "back.pt"), config())
    network = build_agent(config(), 5).actor_critic
    obs, lstm = channels_last(modules["ac_obs"]), network.init_state(1)._make((modules["ac_hx"], modules["ac_cx"]))
    logits, value, _ = network.apply(converted["actor_critic"], obs, lstm)
    assert_close(logits, modules["ac_logits"])
    assert_close(value, modules["ac_value"])


def empty_params(config: Config) -> Params:
    """All zeros: other than drawing weights, that needs no compilation."""
    agent = build_agent(config, 5)
    shapes = agent_shapes(agent, config.frame_shape)
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)


def initialization(**changes: object) -> dict:
    return to_dict(config())["initialization"] | changes


def changed_config(**changes: object) -> Config:
    values = to_dict(config())
    values["initialization"] = initialization(**changes)
    values["agent"]["actor_critic"]["lstm_dim"] = 16
    return pour(values)


def test_parts_are_taken_and_the_rest_stays_fresh(tmp_path: Path) -> None:
    path = tmp_path / "agent.safetensors"
    write_weights(path, Weights(dict(load("agent")), config()))
    ours = changed_config(path_to_ckpt=str(path), load_rew_end_model=False, load_actor_critic=False)
    begin = empty_params(ours)
    got = with_initial_weights(begin, ours)
    mixed, theirs, fresh = (tree["world_model"]["params"] for tree in (got, params(), begin))
    jax.tree.map(np.testing.assert_array_equal, mixed["denoiser"], theirs["denoiser"])
    for part in ("recurrent_emb", "rew_end_model", "harmony_s1"):
        jax.tree.map(np.testing.assert_array_equal, mixed[part], fresh[part])
    jax.tree.map(np.testing.assert_array_equal, got["actor_critic"], begin["actor_critic"])


def test_a_run_of_the_authors_can_be_begun_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its tensors count: its config may be of a game that is not here."""
    folder = tmp_path / "run" / "checkpoints" / "agent_versions"
    folder.mkdir(parents=True)
    (folder / "agent_epoch_00003.pt").touch()
    monkeypatch.setattr("edeline_jax.agent.weights.read_tensors", lambda path, part: dict(load("agent")))
    ours = pour(to_dict(config()) | {"initialization": initialization(path_to_ckpt=str(tmp_path / "run"))})
    got = with_initial_weights(empty_params(ours), ours)
    jax.tree.map(np.testing.assert_array_equal, got, params())


def test_parts_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "agent.safetensors"
    write_weights(path, Weights(dict(load("agent")), config()))
    ours = changed_config(path_to_ckpt=str(path))
    begin = empty_params(ours)
    with pytest.raises(UserError, match=r"actor_critic\.\S+ is \(\d.*\), expected .*load_actor_critic"):
        with_initial_weights(begin, ours)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.pt", "no such file or folder"),
        ("agent.onnx", "unknown kind"),
        ("empty", "config.json: cannot be read"),
    ],
)
def test_what_is_no_agent_is_named(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "agent.onnx").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        read_weights(tmp_path / name)


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize(
    ("value", "dtype", "words"),
    [
        (np.nan, np.float32, "is not finite in float32"),
        (-np.inf, np.float32, "is not finite"),
        (1e300, np.float64, "is not finite"),
        (1, np.bool_, "is bool, expected numbers"),
    ],
)
def test_numbers_that_are_none_are_refused(tmp_path: Path, value: float, dtype: type, words: str) -> None:
    name = "actor_critic.critic_linear.weight"
    tensors = dict(load("agent"))
    tensors[name] = tensors[name].astype(dtype)
    tensors[name].flat[3] = value  # one of many
    write_weights(tmp_path / "agent.safetensors", Weights(tensors, config()))
    with pytest.raises(UserError, match=rf"agent\.safetensors: .*{name} {words}"):
        read_weights(tmp_path / "agent.safetensors")


def game(name: str) -> Config:
    values = to_dict(config())
    values["env"]["id"] = name
    return pour(values)


def test_the_agent_of_a_game_with_other_actions_is_refused(tmp_path: Path) -> None:
    weights = Weights(dict(load("agent")), config())
    with pytest.raises(UserError, match=r"a game with 5 actions, ms_pacman has 9: give the config of their game"):
        write_weights(tmp_path / "run", weights._replace(config=game("ms_pacman")))
    assert not (tmp_path / "run").exists()
    write_weights(tmp_path / "run", weights)
    ours = game("ms_pacman")
    shapes = agent_shapes(build_agent(ours, 9), ours.frame_shape)
    fresh = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    with pytest.raises(UserError, match=r"a game with 5 actions, this one has 9: .*load_actor_critic=False"):
        with_weights_of(tmp_path / "run", fresh, ours)


@pytest.mark.parametrize("shape", [(), (0, 8), (5,)])
def test_an_embedding_of_no_actions_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    tensors = dict(load("agent")) | {ACTION_EMBEDDINGS["edeline"]: np.zeros(shape, np.float32)}
    with pytest.raises(UserError, match=r"act_emb.weight is \(.*\), expected a row for each action"):
        write_weights(tmp_path / "agent.safetensors", Weights(tensors, config()))


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "agent.pt")
    with pytest.raises(UserError, match=r"agent\.pt: not a regular file"):
        read_weights(tmp_path / "agent.pt")


def test_a_file_without_names_of_tensors_is_no_agent(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the extra `torch` is not installed: no .pt files")
    torch.save({1: torch.zeros(1)}, tmp_path / "agent.pt")
    with pytest.raises(UserError, match=r"agent\.pt: not the weights of an agent \(expected a state_dict"):
        read_weights(tmp_path / "agent.pt")


def test_the_agent_in_a_training_state_is_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the extra `torch` is not installed: no .pt files")
    tensors = {name: torch.from_numpy(np.array(x)) for name, x in load("agent").items()}
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    torch.save({"epoch": 3, "agent": tensors, "opt": [1, {}]}, tmp_path / "run" / "checkpoints" / "state.pt")
    for source in ("run", "run/checkpoints/state.pt"):
        back = read_weights(tmp_path / source).tensors
        assert set(back) == set(tensors)
        for name, tensor in load("agent").items():
            np.testing.assert_array_equal(back[name], tensor)


@pytest.mark.parametrize("name", ["agent.safetensors", "run"])
def test_no_module_is_imported_on_the_word_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Someone else's agent could lie beside a module with the name that its config says."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_game.py").write_text("open('imported', 'w')")
    own = config()
    named = replace(own, env=replace(own.env, module="my_game"))
    write_weights(tmp_path / name, Weights(dict(load("agent")), named))
    with pytest.raises(UserError, match="'my_game', which is not imported"):
        read_weights(tmp_path / name)
    assert not (tmp_path / "imported").exists()
    assert read_weights(tmp_path / name, own).config == own


def test_a_folder_of_agents_says_which_there_are(tmp_path: Path) -> None:
    for epoch in (100, 50, 9):
        (tmp_path / "run" / "agents" / str(epoch)).mkdir(parents=True)
    (tmp_path / "run" / "agents" / "7.tmp").mkdir()
    agents = tmp_path / "run" / "agents"
    with pytest.raises(UserError, match=rf"^{agents}: give one of {agents}/9, {agents}/50, {agents}/100$"):
        read_weights(agents)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "agent.safetensors").write_bytes(b"mine")
    with pytest.raises(UserError, match="exists already"):
        write_weights(tmp_path / "agent.safetensors", Weights(dict(load("agent")), config()))
    assert (tmp_path / "agent.safetensors").read_bytes() == b"mine"


def test_damaged_exports_are_refused_or_read_whole(tmp_path: Path) -> None:
    path, rng = tmp_path / "agent.safetensors", np.random.default_rng(0)
    write_weights(path, Weights(dict(load("agent")), config()))
    good, refused = path.read_bytes(), 0
    for _ in range(100):
        path.write_bytes(mutated(good, rng))
        try:
            for name, tensor in read_weights(path).tensors.items():
                np.testing.assert_array_equal(tensor, load("agent")[name])
        except UserError as error:
            assert "\n" not in str(error) and str(path) in str(error)
            refused += 1
    assert refused > 30
