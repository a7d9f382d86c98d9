"""Reduces the metrics of updates to scalars."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def summarize_updates(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Update metrics -> scalars.

    Each confusion matrix [true, predicted] becomes accuracy and the mean recall over the classes that occurred.
    """
    scalars = {name: float(x) for name, x in metrics.items() if np.ndim(x) == 0 and name != "num_updates"}
    for name, counts in metrics.items():
        if np.ndim(counts) == 2:
            scalars |= _accuracies(name.removeprefix("confusion_"), np.asarray(counts))
    return scalars


def not_finite(metrics: Mapping[str, float]) -> list[str]:
    """Names of the values that are NaN or infinite."""
    return [name for name, value in metrics.items() if not math.isfinite(value)]


def _accuracies(name: str, counts: np.ndarray) -> dict[str, float]:
    present = counts.sum(1) > 0
    recall = np.diag(counts)[present] / counts.sum(1)[present]
    return {
        f"accuracy_{name}": float(np.trace(counts) / max(counts.sum(), 1e-9)),
        f"recall_{name}": float(recall.mean()) if present.any() else 0.0,
    }
