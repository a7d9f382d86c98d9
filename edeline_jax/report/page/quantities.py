"""What the values in a metrics file are, for people: a title and a unit."""

import math
from typing import NamedTuple


class Quantity(NamedTuple):
    """How a value is shown: `factor` turns what the file holds into `unit`."""

    title: str
    unit: str
    factor: float = 1.0


NATS_PER_BIT = math.log(2.0)
KNOWN = {
    "loss_world_model": Quantity("World model, total", "loss"),
    "loss_denoising": Quantity("Denoising", "mean squared error"),
    "loss_rew": Quantity("Reward", "cross-entropy, nats"),
    "loss_end": Quantity("End", "cross-entropy, nats"),
    "harmonized_denoising": Quantity("Denoising, harmonized", "loss"),
    "harmonized_rew": Quantity("Reward, harmonized", "loss"),
    "harmony_s1": Quantity("Harmonizer of the reward, s₁", "log of the loss scale"),
    "harmony_s2": Quantity("Harmonizer of the denoising, s₂", "log of the loss scale"),
    "pixel_error": Quantity("Pixel error, one step ahead", "grey levels of 255"),
    "grad_norm": Quantity("Gradient norm, before clipping", "norm"),
    "grad_norm_denoiser": Quantity("Gradient norm, denoiser", "norm"),  # DIAMOND's, before clipping
    "grad_norm_rew_end_model": Quantity("Gradient norm, reward and end", "norm"),
    "loss_total": Quantity("Actor-critic, total", "loss"),
    "loss_actions": Quantity("Policy (REINFORCE)", "loss"),
    "loss_values": Quantity("Value", "squared error"),
    "loss_entropy": Quantity("Entropy bonus, weighted", "loss, nats × weight"),
    "policy_entropy": Quantity("Policy entropy", "nats", NATS_PER_BIT),  # the file holds bits, as the reference's
    "error_rew": Quantity("Reward, expected against real", "mean absolute error"),
    "returns": Quantity("Imagined λ-return", "discounted sum of rewards or their signs"),
    "return_mean": Quantity("Return", "game score"),
    "length_mean": Quantity("Length of a game", "steps"),
    "seconds_per_update": Quantity("Time of an update", "seconds"),
}
RATES = {"precision": "Precision", "recall": "Recall", "f1": "F1", "accuracy": "Accuracy"}
TARGETS = {"rew": "reward", "reward": "reward", "end": "end"}
BYTES = {"bytes": ("GB", 1e-9), "mb": ("GB", 1e-3), "gb": ("GB", 1.0), "mib": ("GiB", 2.0**-10), "gib": ("GiB", 1.0)}


def quantity(name: str) -> Quantity:
    """Title and unit of a value by its name without the group; also of names that are not known here."""
    if name in KNOWN:
        return KNOWN[name]
    words = name.split("_")
    rest = [TARGETS.get(word, word) for word in words if word not in RATES]
    if is_rate(name):
        rate = next(RATES[word] for word in words if word in RATES)
        return Quantity(f"{rate}, {' '.join(rest)}" if rest else rate, "share, 0 to 1")
    if words[-1].lower() in BYTES:
        unit, factor = BYTES[words[-1].lower()]
        return Quantity(_sentence(words[:-1]) or "Memory", unit, factor)
    if "seconds" in words:
        return Quantity(_sentence(words), "seconds")
    return Quantity(_sentence(words), "value")


def is_rate(name: str) -> bool:
    """Whether the value says how well classes are told apart."""
    return any(word in RATES for word in name.split("_"))


def is_memory(name: str) -> bool:
    """Whether the value is an amount of memory."""
    return name.split("_")[-1].lower() in BYTES


def _sentence(words: list[str]) -> str:
    text = " ".join(words)
    return text[:1].upper() + text[1:]
