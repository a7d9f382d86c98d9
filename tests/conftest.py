"""Eight virtual CPU devices, so that the tests of several devices need no accelerator; no silent broadcasts."""

import contextlib
import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

from edeline_jax.dataset.__main__ import main as dataset_program
from tests.emitters import SIMPLE
from tests.forms import FORMS, taking
from tests.golden_data import PRECISION
from tests.in_process import call, train_here
from tests.runs import write_recordings

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # thousands of small programs: half of the time
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {SIMPLE}".strip()  # the processes that tests start, too
gc.set_threshold(100_000)  # as in edeline_jax.train


@pytest.fixture(scope="module", autouse=True)
def _compilation(request: pytest.FixtureRequest) -> None:
    """Programs are compiled in a hurry, except in modules marked as optimized: those test numbers of the real ones."""
    in_a_hurry = request.node.get_closest_marker("optimized") is None
    jax.config.update("jax_disable_most_optimizations", in_a_hurry)


@pytest.fixture(autouse=True)
def _precision(request: pytest.FixtureRequest) -> Iterator[None]:
    """Modules that are held against recorded numbers compute at full precision, also the layers of no network."""
    golden = "golden" in request.module.__name__
    with jax.default_matmul_precision(PRECISION) if golden else contextlib.nullcontext():
        yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that take a `form` run with each; of recorded numbers those of layers take long, of updates very long."""
    if "form" in metafunc.fixturenames:
        name = metafunc.module.__name__
        others = [pytest.mark.slow if "learning" in name else pytest.mark.ci] if "golden" in name else []
        own, *rest = FORMS
        every = [own, *(pytest.param(form, marks=others) for form in rest)]
        metafunc.parametrize("form", every, indirect=True)


@pytest.fixture
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    """Layers take the form of a backend; its name goes into the key of programs that a module keeps."""
    with taking(request.param):
        yield request.param


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    train_here(folder)
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five recorded episodes, in the open format."""
    folder = tmp_path_factory.mktemp("data")
    write_recordings(folder / "recordings", [9, 14, 5, 20, 8])
    call(dataset_program, "import", folder / "recordings", folder / "dataset")
    return folder / "dataset"


@pytest.fixture
def finished(_finished: Path, tmp_path: Path) -> Path:
    """The folder of a tiny run that has come to its end; a copy for each test."""
    return shutil.copytree(_finished, tmp_path / "finished")
