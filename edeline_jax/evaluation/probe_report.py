"""The figures of linear probes as a table and as a picture."""

from typing import Any

from etils.epath import Path

from edeline_jax.runtime.files import writing

ROWS = {  # key of the tree -> its name in table and picture
    "whole_history": "memory, whole history",
    "burn_in": "memory, last {N} steps",
    "frame": "present frame and action",
    "last_frame": "the same frame again",
    "mean_frame": "mean frame",
    "commonest_sign": "commonest sign",
    "chance": "chance",
}
COLOURS = {"whole_history": "#2a6f97", "burn_in": "#d1603d", "frame": "#7a7a7a"}
WIDTH = 26  # of a row's name


def table(card: dict[str, Any]) -> str:
    """The figures in a few lines, of the tree that `probe` makes."""
    lines = [f"{'next frame':<{WIDTH}} {'R²':>9} {'mean squared error':>19}"]
    for name, figures in card["next_frame"].items():
        lines.append(f"{_title(name, card):<{WIDTH}} {figures['r2']:>9.4f} {figures['mean_squared_error']:>19.3g}")
    lines.append(f"{'sign of the reward':<{WIDTH}} {'balanced':>9} {'precision':>10} {'recall':>7} {'F1':>7}")
    for name, figures in (card["reward_sign"] or {}).items():
        scores = (figures[key] for key in ("precision", "recall", "f1"))
        columns = " ".join(f"{score:>{width}.3f}" for score, width in zip(scores, (10, 7, 7), strict=True))
        lines.append(f"{_title(name, card):<{WIDTH}} {figures['balanced_accuracy']:>9.3f} {columns}")
    if card["reward_sign"] is None:
        lines.append("only one sign in the games to learn from: nothing to tell apart")
    delays = card["past_action"]
    ages, counts = (" ".join(f"{row[key]:>6}" for row in delays) for key in ("delay", "steps"))
    lines.append(f"{'action k steps ago, k =':<{WIDTH}} {ages}")
    for name in (*COLOURS, "chance"):
        lines.append(f"{_title(name, card):<{WIDTH}} {' '.join(f'{row[name]:>6.3f}' for row in delays)}")
    lines.append(f"{'steps of the test':<{WIDTH}} {counts}")
    return "\n".join(lines)


def draw_delays(card: dict[str, Any], path: Path) -> None:
    """Draws how well a past action is known against its age."""
    from matplotlib.figure import Figure  # only drawing pays for the import

    rows = card["past_action"]
    delays = [row["delay"] for row in rows]
    figure = Figure(figsize=(6, 4), dpi=120, layout="constrained")
    axes = figure.subplots()
    for name, colour in COLOURS.items():
        axes.plot(delays, [row[name] for row in rows], "o-", color=colour, markersize=4, label=_title(name, card))
    axes.plot(delays, [row["chance"] for row in rows], "--", color="0.6", label="chance")
    axes.set_xscale("log", base=2)
    axes.set_xticks(delays, [str(delay) for delay in delays])
    axes.set_xlabel("age of the action, steps")
    axes.set_ylabel("share of actions told right")
    axes.set_ylim(0, 1.05)
    axes.set_title(f"{card['id']}: how long the memory keeps an action", loc="left", fontsize="medium")
    axes.grid(color="0.9", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
    with writing(path) as file:
        figure.savefig(file, format="png")


def _title(name: str, card: dict[str, Any]) -> str:
    return ROWS[name].format(N=card["burn_in"] + 1)
