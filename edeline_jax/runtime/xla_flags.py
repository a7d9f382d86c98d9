"""Flags for XLA, which reads them once, when JAX starts its devices."""

import os

NO_YNNPACK = "--xla_cpu_experimental_ynn_fusion_type="


def compute_correctly() -> None:
    """Keeps XLA for CPUs from handing parts of a program to the library YNNPACK.

    In jaxlib 0.10.2, 0.11.2 and 0.12.0 that library computes a residual block of the image encoder wrongly: 450 frames
    of 32 x 32 pixels got features of 1e29, infinity, or the right size but wrong, another at each compilation
    (tests/nn/test_image_encoder.py). What the user has set stays.
    """
    if NO_YNNPACK not in os.environ.get("XLA_FLAGS", ""):
        _add(NO_YNNPACK)


def compute_alike() -> None:
    """Lets XLA make programs for GPUs that give the same bits every time."""
    _add("--xla_gpu_deterministic_ops=true")


def _add(flag: str) -> None:
    """Sets the flag, whatever it was: of flags that are given twice XLA takes the last."""
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
