"""Whole runs of the smallest config: through the real entry point, on eight devices, and without a world model."""

import json
from collections import Counter
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image, ImageSequence

from benchmarks.hlo import collectives
from edeline_jax.acting.replay_keeper import empty_replay, steps_per_env
from edeline_jax.agent.networks import build_agent
from edeline_jax.agent.weights import read_weights
from edeline_jax.config import pour
from edeline_jax.convert import main as convert
from edeline_jax.dataset.__main__ import main as dataset
from edeline_jax.envs.catch import BALL, COLUMNS, PADDLE, PALETTE, ROWS
from edeline_jax.learning.programs import build_programs
from edeline_jax.learning.setup import make_setup
from edeline_jax.learning.state import state_shapes
from edeline_jax.report.curves import draw_curves
from edeline_jax.report.filmstrip import GAP, GIF_FRAME_HEIGHT, LINE, MARGIN, whole_scale
from edeline_jax.runtime.devices import make_mesh
from tests.in_process import call, logged_run, train_here
from tests.runs import (
    assert_nothing_compiles_after_the_first_epoch,
    assert_one_line_error,
    finished_run,
    flags,
    module,
    rows,
    summary,
    train,
)
from tests.tiny_config import get_config

LEARN = {
    "world_model.training.steps_first_epoch": 20,
    "world_model.training.steps_per_epoch": 20,
    "world_model.optimizer.lr": 3e-3,
    "world_model.optimizer.lr_warmup_steps": 10,
}
ON_EIGHT = {
    **LEARN,
    "evaluation.every": 1,
    "collection.num_steps_total": 150,
    "actor_critic.training.grad_acc_steps": 2,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Compiled by the emitters of a real run, whose loops the profile shows."""
    workdir = tmp_path_factory.mktemp("run")
    return workdir, finished_run(
        workdir, "--profile", *flags(LEARN | {"evaluation.every": 1}), variables={"XLA_FLAGS": ""}
    )


def test_a_run_keeps_its_schedule(finished: tuple[Path, str]) -> None:
    workdir, _ = finished
    by_epoch = {row["epoch"]: row for row in rows(workdir) if "actor_critic/loss_total" in row}
    # 80 steps at first, 40 more in epochs 2 and 3, then one epoch without collection; updates: 20 each, and 3, then 2
    assert {epoch: row["env_steps"] for epoch, row in by_epoch.items()} == {1: 80, 2: 120, 3: 160, 4: 160}
    assert [by_epoch[e]["world_model_updates"] for e in (1, 2, 3, 4)] == [20, 40, 60, 80]
    assert [by_epoch[e]["actor_critic_updates"] for e in (1, 2, 3, 4)] == [3, 5, 7, 9]
    tests = [row for row in rows(workdir) if "test/return_mean" in row]
    assert [(row["epoch"], row["test/num_games"]) for row in tests] == [(1, 4), (2, 4), (3, 4), (4, 4), (4, 6)]


def test_a_run_says_what_it_is_and_what_it_leaves(finished: tuple[Path, str]) -> None:
    workdir, output = finished
    for words in (
        "devices: 1 x",
        "parameters: world model",
        "replay: 160 steps",
        "compiled in",
        "ms per update",
        "pixel error",
        "\ntest, epoch 4: return",
        "\nfinal test, 6 games: return",
    ):
        assert words in output
    result = summary(workdir)
    assert result["num_games"] == 6 and (result["progress"]["env_steps"], result["progress"]["epoch"]) == (160, 4)
    assert sorted(path.name for path in (workdir / "agents").iterdir()) == ["3", "4"]  # num_agents_to_keep = 2
    assert json.loads((workdir / "config.json").read_text())["env"]["id"] == "catch"


def test_the_summary_is_the_last_test(finished: tuple[Path, str]) -> None:
    (workdir, output), result = finished, summary(finished[0])
    last = [row for row in rows(workdir) if "test/return_mean" in row][-1]
    for name in ("return_mean", "return_std", "return_min", "return_max", "length_mean", "num_games"):
        assert result[name] == last[f"test/{name}"], name
    for name in ("world_model_updates", "actor_critic_updates"):
        assert result[name] == last[name]
    assert (result["id"], result["seed"]) == ("catch", 0)
    assert f"mean return {last['test/return_mean']:.2f} over 6 games" in output


def test_the_curves_are_those_of_all_metrics(finished: tuple[Path, str], tmp_path: Path) -> None:
    for path in draw_curves(finished[0] / "metrics.jsonl", tmp_path):
        with Image.open(path) as expected, Image.open(finished[0] / "report" / path.name) as drawn:
            np.testing.assert_array_equal(np.asarray(drawn), np.asarray(expected), err_msg=path.name)


def test_the_page_is_that_of_the_finished_run(finished: tuple[Path, str]) -> None:
    workdir, output = finished
    end = output[output.index("mean return ") :].splitlines()
    assert end[1] == f"  {workdir / 'report' / 'index.html'}"
    page = (workdir / "report" / "index.html").read_text()
    (start,) = [json.loads(line) for line in (workdir / "starts.jsonl").read_text().splitlines()]
    assert f"{summary(workdir)['return_mean']:.2f}</span>" in page and ">finished</span>" in page
    assert start["devices"] in page and f"JAX {jax.__version__}" in start["versions"] and start["env_steps"] == 0
    assert "data:image/png;base64," in page and "data:image/gif;base64," in page


def boards(gif: Image.Image, left: int) -> np.ndarray:
    """The colours of the cells of the films' boards, [T, ROWS, COLUMNS, 3]; `left` is the edge of a film in px."""
    size = 20 * whole_scale(20, GIF_FRAME_HEIGHT)
    y = MARGIN + LINE + (np.arange(ROWS) + 0.5) * size / ROWS
    x = left + (np.arange(COLUMNS) + 0.5) * size / COLUMNS
    frames = [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(gif)]
    return np.stack(frames)[:, y.astype(int)[:, None], x.astype(int)]


def test_the_film_shows_a_whole_game_of_the_last_test(finished: tuple[Path, str]) -> None:
    """The ball falls one row in each of nine frames, in one column; imagination is given the first four of them."""
    with Image.open(finished[0] / "report" / "imagination-median.gif") as gif:
        real, imagined = boards(gif, MARGIN), boards(gif, MARGIN + 20 * whole_scale(20, GIF_FRAME_HEIGHT) + GAP)
    time, row, column = (np.abs(real - PALETTE[BALL]).max(-1) <= 4).nonzero()  # 256 colours
    assert time.tolist() == row.tolist() == list(range(9)) and len(set(column)) == 1
    _, row, _ = (np.abs(real - PALETTE[PADDLE]).max(-1) <= 4).nonzero()
    assert row.tolist() == [ROWS - 1] * 9
    assert np.abs(imagined[:4] - real[:4]).max() <= 4


def test_a_run_says_where_its_time_goes(finished: tuple[Path, str]) -> None:
    workdir, _ = finished
    laps = [
        {k.removeprefix("seconds/"): v for k, v in row.items() if k.startswith("seconds/")} for row in rows(workdir)
    ]
    laps = [lap for lap in laps if lap]
    phases = {"world_model", "actor_critic", "save", "other"}
    assert [set(lap) - phases for lap in laps] == [
        {"compile", "collect", "test"},
        {"collect", "test"},
        {"collect", "test"},
        {"test"},
    ]
    assert all(seconds >= 0 for lap in laps for seconds in lap.values())
    last = rows(workdir)[-1]["wall_time"]
    assert 0.5 * last < sum(sum(lap.values()) for lap in laps) < last + 1


def test_a_run_says_how_much_memory_it_needed(finished: tuple[Path, str]) -> None:
    """After every epoch; it only grows, and JAX alone takes more than 100 MB."""
    peaks = [row["memory/host_peak_bytes"] for row in rows(finished[0]) if "memory/host_peak_bytes" in row]
    assert len(peaks) == 4 and peaks == sorted(peaks) and 1e8 < peaks[0] < 1e11


def test_a_profile_holds_the_operations_of_both_updates(finished: tuple[Path, str]) -> None:
    """A program is a loop over updates; inside of it are others, of which some run in every imagined step."""
    runs = {}
    for network in ("world_model", "actor_critic"):
        (trace,) = (finished[0] / "profile" / network).rglob("*.xplane.pb")
        planes = jax.profiler.ProfileData.from_file(str(trace)).planes
        names = [event.name for plane in planes for line in plane.lines for event in line.events]
        runs[network] = Counter(Counter(name for name in names if name.startswith("while")).values())
    # 3 updates after the first; of the actor-critic only 2 are left, of 4 imagined steps each. Some events get lost.
    assert runs["world_model"].most_common(1)[0][0] == max(runs["world_model"]) == 3
    assert runs["actor_critic"].most_common(1)[0][0] == 2 and max(runs["actor_critic"]) == 2 * 4


def test_a_finished_run_does_nothing(finished: tuple[Path, str]) -> None:
    workdir, _ = finished
    before = (workdir / "metrics.jsonl").read_bytes()
    result = train(workdir, *flags(LEARN))
    assert result.returncode == 0 and "finished run: nothing to do" in result.stdout, result.stderr
    assert (workdir / "metrics.jsonl").read_bytes() == before


def losses(workdir: Path) -> np.ndarray:
    """The world model's mean loss in each epoch."""
    by_epoch: dict[int, list[tuple[int, float]]] = {}
    before = 0
    for row in rows(workdir):
        if "world_model/loss_world_model" in row:
            num_updates, before = row["world_model_updates"] - before, row["world_model_updates"]
            by_epoch.setdefault(row["epoch"], []).append((num_updates, row["world_model/loss_world_model"]))
    return np.array([sum(n * loss for n, loss in parts) / sum(n for n, _ in parts) for parts in by_epoch.values()])


@pytest.fixture(scope="module")
def on_eight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """On 8 devices, actor-critic updates in two parts; the last collection does not fill all environments."""
    workdir = tmp_path_factory.mktemp("run")
    return workdir, logged_run(workdir, ON_EIGHT, devices=8)


@pytest.mark.ci
def test_eight_devices_keep_the_schedule(on_eight: tuple[Path, str]) -> None:
    workdir, output = on_eight
    assert "devices: 8 x" in output
    last = [row for row in rows(workdir) if "actor_critic/loss_total" in row]
    # 80 steps, 40, then the 30 that are left, rounded up to all 8 environments
    assert [(row["env_steps"], row["world_model_updates"], row["actor_critic_updates"]) for row in last[-2:]] == [
        (152, 60, 7),
        (152, 80, 9),
    ]


@pytest.mark.ci
def test_the_loss_falls_on_eight_devices_as_on_one(finished: tuple[Path, str], on_eight: tuple[Path, str]) -> None:
    one, eight = losses(finished[0]), losses(on_eight[0])
    assert one[-1] < 0.6 * one[0] and eight[-1] < 0.6 * eight[0]
    np.testing.assert_allclose(eight, one, rtol=0.2)


def test_nothing_compiles_after_the_first_epoch(finished: tuple[Path, str]) -> None:
    assert_nothing_compiles_after_the_first_epoch(finished[1])


@pytest.mark.ci
def test_nothing_compiles_after_the_first_epochs_on_eight_devices(on_eight: tuple[Path, str]) -> None:
    assert_nothing_compiles_after_the_first_epoch(on_eight[1])


@pytest.fixture(scope="module")
def programs(on_eight: tuple[Path, str]) -> dict[str, tuple[str, int]]:
    """HLO of the compiled update programs, the actor-critic's updates in two parts, and the bytes of their parameters.

    They are those of the run on 8 devices.
    """
    values = get_config()
    values.update_from_flattened_dict(ON_EIGHT)
    config = pour(values, 8)
    agent = build_agent(config, 3)
    state = state_shapes(make_setup(agent, config))
    replay = jax.eval_shape(lambda: empty_replay(config, make_mesh(), steps_per_env(config)))
    return {
        name: (
            program.lower(state, replay).compile().as_text(),
            4 * sum(x.size for x in jax.tree.leaves(getattr(state, name).params)),
        )
        for name, program in build_programs(agent, config, make_mesh()).items()
    }


@pytest.mark.ci
@pytest.mark.parametrize("network", ["world_model", "actor_critic"])
def test_gradients_and_metrics_are_sent_once_per_update(programs: dict, network: str) -> None:
    text, parameter_bytes = programs[network]
    sent = [operation for operation in collectives(text) if operation.depth == 1]
    # XLA may leave it in pieces, and the world model needs counts of its batch beforehand
    assert {operation.kind for operation in sent} == {"all-reduce"} and len(sent) <= 4
    assert 0.99 * parameter_bytes < sum(operation.bytes for operation in sent) < parameter_bytes + 200


@pytest.mark.ci
def test_nothing_is_sent_in_imagination(programs: dict) -> None:
    for text, _ in programs.values():
        assert {operation.depth for operation in collectives(text)} == {1}
    assert programs["actor_critic"][0].count(" while(") >= 3  # updates, parts, imagined steps


@pytest.mark.parametrize("devices", [1, 8])
def test_model_free_learning_uses_real_steps(tmp_path: Path, devices: int) -> None:
    changes = {"training.model_free": True, "training.num_final_epochs": 0}
    train_here(tmp_path, changes, devices=devices, pictures=True)
    last = rows(tmp_path)[-1]
    assert last["world_model_updates"] == 0
    # each update takes backup_every = 4 steps of 8 environments; epochs of 3 and 2 updates, then 160 steps are through
    assert last["env_steps"] == 160 and last["actor_critic_updates"] == 5
    assert not (tmp_path / "report" / "imagination-median.png").exists()


def test_what_a_run_learnt_can_be_taken_along_and_tested(
    finished: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """run -> file -> run -> file, then a test of the agent in a folder of its own."""
    export, again = tmp_path / "agent.safetensors", tmp_path / "again.safetensors"
    for source, target in ((finished[0], export), (export, tmp_path / "run"), (tmp_path / "run", again)):
        call(convert, source, target)
        assert f"{source} -> {target}" in capsys.readouterr().out
    before, after = read_weights(export), read_weights(again)
    assert before.config == after.config and list(before.tensors) == list(after.tensors)
    for name, tensor in before.tensors.items():
        np.testing.assert_array_equal(after.tensors[name], tensor)
    train_here(tmp_path / "test", {"training.should": False, "initialization.path_to_ckpt": str(export)})
    assert summary(tmp_path / "test")["progress"]["epoch"] == 0 and summary(tmp_path / "test")["num_games"] == 6
    # the converted run is tested with its agent, not with fresh weights
    output = train_here(tmp_path / "run", {"training.should": False, **LEARN})
    assert f"no checkpoint: begins with the weights of {tmp_path / 'run' / 'agents' / '0'}" in output
    for name in ("return_mean", "length_mean", "num_games"):
        assert summary(tmp_path / "run")[name] == summary(tmp_path / "test")[name], name
    lines = [rows(workdir)[-1] for workdir in (tmp_path / "run", tmp_path / "test")]
    assert lines[0]["test_world_model/pixel_error"] == lines[1]["test_world_model/pixel_error"]
    lines = [rows(workdir)[-1] for workdir in (finished[0], tmp_path / "test")]
    errors = [line["test_world_model/pixel_error"] for line in lines]
    assert errors[0] == pytest.approx(errors[1], rel=0.05)  # the same model on other games


def test_a_conversion_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "agent.pt").write_bytes(b"")
    assert_one_line_error(module("edeline_jax.convert", tmp_path / "agent.pt"), "usage")
    assert_one_line_error(module("edeline_jax.convert", tmp_path / "no", tmp_path / "a.pt"), "no such file or folder")


def test_what_a_run_collected_can_be_exported(
    finished: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    call(dataset, "export", finished[0], tmp_path / "data")
    assert "160 steps" in capsys.readouterr().out
    call(dataset, "validate", tmp_path / "data")


@pytest.mark.parametrize(
    ("config", "override", "message"),
    [
        ("configs/atari.py:brekout", "", "error: config.env: unknown environment 'brekout'; did you mean breakout?"),
        ("configs/minigrid.py:memory_s8", "", "unknown environment 'memory_s8'; did you mean MiniGrid-MemoryS9-v0"),
        ("configs/gymnasium.py:CartPol-v1", "", "Gymnasium has no environment 'CartPol-v1'; did you mean CartPole-v1"),
        ("configs/crafter.py:small", "", "configs/crafter.py: unknown preset 'small'; known: diamond, tiny"),
        ("configs/atari.py:pong,small", "", "unknown preset 'small'; known: diamond, tiny, quickstart, example"),
        ("configs/atari.py:pong", "--config.env.numenvs=8", 'unknown key in an override: Did you mean "num_envs"'),
        ("configs/atari.py:pong", "--config.env.num_envs=many", "error: flag --config.env.num_envs=many"),
        ("configs/atari.py:pong", "--config.world_model.loss.horizon=1", "raise horizon to at least 2"),
        ("configs/nothing.py", "", "error: --config=configs/nothing.py: no such file; give one, or a name"),
        ("configs/catch.py", "--config.env.size=33", "error: config.env: size must be a multiple of 10"),
        ("configs/catch.py", "--config.agent.actor_critic.down[0]=1", "set the whole --config.agent.actor_critic.down"),
        ("configs/catch.py", "--config.agent.depth=1", "error: unknown key in an override: depth\n"),
        ("configs/catch.py", "--bogus=1", "Unknown command line flag 'bogus'"),
        ("configs/catch.py", "config.seed=3", "'config.seed=3' is no flag: did you mean --config.seed=3?"),
        ("configs/catch.py", "seed 3", "'seed 3' is no flag: flags begin with --"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, config: str, override: str, message: str) -> None:
    result = train(tmp_path / "run", *filter(None, [override]), config=config)
    assert result.returncode == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
