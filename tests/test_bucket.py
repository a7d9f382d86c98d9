"""Runs in a bucket, on an object store of our own."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from edeline_jax.convert import main as convert
from edeline_jax.dataset.__main__ import main as dataset
from edeline_jax.evaluation.exam import evaluate
from edeline_jax.evaluation.rounds import Plan
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import to_path
from tests.in_process import call, train_here
from tests.object_store import ObjectStore
from tests.runs import assert_one_line_error, module, train
from tests.test_cluster import outputs, start_processes

FOLDER = "gs://bucket/games/run"

pytestmark = pytest.mark.ci


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with ObjectStore() as store, pytest.MonkeyPatch.context() as patch:
        for name, value in store.variables.items():
            patch.setenv(name, value)
        yield store


@pytest.fixture(scope="module")
def finished(store: ObjectStore) -> str:
    """What a run said that later tests read and go on with."""
    return train_here(FOLDER, pictures=True)


def test_a_run_in_a_bucket_is_as_whole_as_on_a_disk(store: ObjectStore, finished: str) -> None:
    assert f"{FOLDER}/report/imagination-median.gif" in finished
    names = {name.removeprefix("games/run/").split("/")[0] for name in store.names("games/run/")}
    folders = {"checkpoints", "agents", "replay", "report"}
    assert names == {"config.json", "metrics.jsonl", "starts.jsonl", "summary.json", "lock", *folders}
    rows = [json.loads(line) for line in store.objects["games/run/metrics.jsonl"].data.splitlines()]
    assert [row["epoch"] for row in rows if "seconds/other" in row] == [1, 2, 3, 4]
    assert json.loads(store.objects["games/run/summary.json"].data)["progress"]["env_steps"] == 160
    page = store.objects["games/run/report/index.html"].data.decode()
    assert "finished</span>" in page and "data:image/gif;base64," in page


def test_what_a_run_left_can_be_read_from_the_bucket(
    store: ObjectStore, finished: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    report = module("edeline_jax.report", "gs://bucket")
    assert report.returncode == 0 and "catch                 1/1" in report.stdout, report.stderr
    call(convert, FOLDER, tmp_path / "agent.safetensors")
    assert (tmp_path / "agent.safetensors").stat().st_size > 10_000
    card = evaluate(to_path(FOLDER), None, Plan(3, 2, 0), "", "", lambda: None, print)
    names = {name.rpartition("/")[2] for name in store.names("games/run/evaluation/")}
    assert names >= {"epoch-4-seed-0.json", "epoch-4-seed-0.rounds.jsonl", *card["films"]["best"]["files"]}
    again = evaluate(to_path(FOLDER), None, Plan(3, 2, 0), "", "gs://bucket/again", lambda: None, print)
    assert again == card and len(store.objects["games/run/evaluation/epoch-4-seed-0.rounds.jsonl"].data.split()) > 4
    call(dataset, "export", FOLDER, "gs://bucket/data")
    assert "160 steps" in capsys.readouterr().out
    call(dataset, "validate", "gs://bucket/data")


def test_a_damaged_checkpoint_in_a_bucket_is_set_aside(
    store: ObjectStore, finished: str, caplog: pytest.LogCaptureFixture
) -> None:
    newest = max(int(name.split("/")[3]) for name in store.names("games/run/checkpoints/"))
    for name in store.names(f"games/run/checkpoints/{newest}/state/"):
        if "/d/" in name:
            store.put(name, store.objects[name].data[:-40])
    with caplog.at_level(logging.WARNING, "edeline_jax"):
        assert "resumed in epoch 4" in train_here(FOLDER, {"training.num_final_epochs": 2})  # saved before its test
    assert f"checkpoint {newest} cannot be read" in caplog.text
    assert store.names(f"games/run/set_aside/{newest}-")


def test_the_newest_start_owns_the_run(store: ObjectStore, finished: str) -> None:
    """A bucket has no locks, and a pre-empted machine may come back to life."""

    def take_over(line: str) -> None:
        if line.startswith("epoch"):
            store.put("games/run/lock", b"7 on another-host, 00000000")

    message = r"another process \(7 on another-host, 00000000\) has taken the run over"
    with pytest.raises(UserError, match=message):
        train_here(FOLDER, {"training.num_final_epochs": 50}, at_line=take_over)


def test_a_bucket_that_takes_nothing_is_one_line(store: ObjectStore) -> None:
    store.refuse = 403
    try:
        result = train("gs://bucket/other")
    finally:
        store.refuse = None
    assert_one_line_error(result, "gs://bucket/other: cannot be used as --workdir")
    assert_one_line_error(train("gs://no-such-bucket/run"), "cannot be used as --workdir")
    assert_one_line_error(train("s3://bucket/run"), "s3://bucket/run: must be a folder on a disk or in a bucket, gs://")
    profiled = train("gs://bucket/other", "--profile")
    assert_one_line_error(profiled, "profiles need a --workdir on a disk")


@pytest.mark.slow
def test_two_processes_share_a_run_in_a_bucket(store: ObjectStore) -> None:
    for start_number, epochs in enumerate((1, 2)):
        flags = f"--config.training.num_final_epochs={epochs}"
        results = outputs(start_processes("gs://bucket/two", 2, 2, flags))
        assert [status for status, _, _ in results] == [0, 0], results
        assert ("resumed after epoch 4" in results[0][1]) == bool(start_number)
    assert json.loads(store.objects["two/summary.json"].data)["progress"]["epoch"] == 5
