"""The figures of an evaluation, as a tree for a JSON file and as a table."""

from typing import Any

import numpy as np

from edeline_jax.acting.scoreboard import Game, summarize_games
from edeline_jax.envs import human_normalised_score
from edeline_jax.report.statistics import estimate, mean

ROWS = {"agent": "agent", "random": "random play"}  # key of the tree -> its name in the table


def statistics(id: str, games: list[Game]) -> dict[str, Any]:
    """Figures of games of the environment `id`: those of `summarize_games`, how certain the mean is, and every game.

    Standard error and interval are None where there is one game only; the human-normalised score is there for
    games of which a human's is known.
    """
    scores, lengths = ([game[column] for game in games] for column in (0, 1))
    n = len(scores)
    _, low, high = estimate(mean, [np.array(scores)])
    figures = summarize_games(games, id) | {
        "return_standard_error": float(np.std(scores, ddof=1) / n**0.5) if n > 1 else None,
        "return_interval": None if low is None else [float(low), float(high)],
    }
    normalised = human_normalised_score(id, figures["return_mean"])
    if normalised is not None:
        figures["human_normalised_score"] = normalised
    return figures | {"returns": scores, "lengths": lengths}


def table(card: dict[str, Any]) -> str:
    """The scores in a few lines, of the tree that `examine` makes."""
    width = max(12, len(card["id"]))
    head = f"{card['id']:<{width}} {'games':>6} {'return':>11} {'± s.e.':>9} {'95 % interval of the mean':>27}"
    lines = [f"{head} {'human-normalised':>17} {'steps':>9}"]
    lines += [_line(f"{name:<{width}}", card[key]) for key, name in ROWS.items()]
    if card["published"]:
        scores = ", ".join(f"{system} {score:,.1f}" for system, score in card["published"].items())
        lines.append(f"published, at 100,000 steps: {scores}")
    return "\n".join(lines)


def _line(name: str, figures: dict[str, Any]) -> str:
    error, interval = figures["return_standard_error"], figures["return_interval"]
    normalised = figures.get("human_normalised_score")
    columns = (
        f"{figures['return_mean']:>11,.2f}",
        f"{'-' if error is None else f'{error:,.2f}':>9}",
        f"{'-' if interval is None else f'{interval[0]:,.2f} .. {interval[1]:,.2f}':>27}",
        f"{'-' if normalised is None else f'{normalised:.3f}':>17}",
        f"{figures['length_mean']:>9,.1f}",
    )
    return f"{name} {figures['num_games']:>6} {' '.join(columns)}"
