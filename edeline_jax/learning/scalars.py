"""Reduces the metrics of updates to scalars.

Rewards and ends are rare, and a model that never predicts one is nearly always right. So beside the accuracy stand the
precision, the recall and the F1 of every class, from the counts of all updates together.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

CLASSES = {"rew": ("negative", "zero", "positive"), "end": ("no", "yes")}


def summarize_updates(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Update metrics -> scalars.

    Each confusion matrix [true, predicted] becomes accuracy, the mean recall over the classes that occurred, and the
    `scores` of each class.
    """
    scalars = {name: float(x) for name, x in metrics.items() if np.ndim(x) == 0 and name != "num_updates"}
    for name, counts in metrics.items():
        if np.ndim(counts) == 2:
            scalars |= _qualities(name.removeprefix("confusion_"), np.asarray(counts))
    return scalars


def not_finite(metrics: Mapping[str, float]) -> list[str]:
    """Names of the values that are NaN or infinite."""
    return [name for name, value in metrics.items() if not math.isfinite(value)]


def scores(hits: float, predicted: float, actual: float) -> dict[str, float]:
    """Precision, recall and F1, their harmonic mean; without those that would be a division by zero.

    Args:
      hits: the number of cases that were predicted and did happen.
      predicted: of cases that were predicted.
      actual: of cases that did happen.
    """
    ratios = {"precision": (hits, predicted), "recall": (hits, actual), "f1": (2 * hits, predicted + actual)}
    return {name: float(part / whole) for name, (part, whole) in ratios.items() if whole > 0}


def _qualities(name: str, counts: np.ndarray) -> dict[str, float]:
    present = counts.sum(1) > 0
    recall = np.diag(counts)[present] / counts.sum(1)[present]
    qualities = {
        f"accuracy_{name}": float(np.trace(counts) / max(counts.sum(), 1e-9)),
        f"recall_{name}": float(recall.mean()) if present.any() else 0.0,
    }
    for i, title in enumerate(CLASSES[name]):
        of_class = scores(counts[i, i], counts[:, i].sum(), counts[i].sum())
        qualities |= {f"{measure}_{name}_{title}": value for measure, value in of_class.items()}
    return qualities
