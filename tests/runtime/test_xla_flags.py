"""What is asked of XLA, and that it takes it: it ends the process at a flag that it does not know."""

import os
import subprocess
import sys

import pytest

from edeline_jax.runtime import xla_flags


def run(program: str, flags: str = "") -> str:
    """What a new process prints."""
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_package_keeps_the_library_that_computes_wrongly_out_of_programs() -> None:
    program = "; ".join(
        (
            "import jax, jax.numpy as jnp{}",
            "program = jax.jit(lambda x: jnp.exp(x @ x).sum(0)).lower(jnp.ones((256, 256))).compile()",
            "print('ynn_fusion' in program.as_text())",
        )
    )
    assert run(program.format("")) == "True\n", "XLA no longer uses the library: the flag has no purpose"
    assert run(program.format(", edeline_jax")) == "False\n"
    assert run(program.format(", edeline_jax"), "--xla_cpu_enable_fast_math=false") == "False\n"


def test_equal_bits_are_asked_for_by_a_flag_that_xla_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    xla_flags.compute_alike()
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_enable_fast_math=false --xla_gpu_deterministic_ops=true"
    assert run("import jax; print(jax.jit(lambda x: x + 1)(1.0))", os.environ["XLA_FLAGS"]) == "2.0\n"


def test_equal_bits_are_asked_for_last_of_all_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=false")
    xla_flags.compute_alike()
    assert os.environ["XLA_FLAGS"].endswith("--xla_gpu_deterministic_ops=true")


def test_what_the_user_sets_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = f"{xla_flags.NO_YNNPACK}LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"
    monkeypatch.setenv("XLA_FLAGS", ours)
    xla_flags.compute_correctly()
    assert os.environ["XLA_FLAGS"] == ours
