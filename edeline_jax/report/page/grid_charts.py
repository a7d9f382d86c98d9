"""The charts of many runs: human-normalised scores beside those of the published systems."""

from typing import TYPE_CHECKING

import numpy as np

from edeline_jax.envs import human_normalised_score
from edeline_jax.report import statistics
from edeline_jax.report.grid import Overall, diamond_scores, scores_by_game
from edeline_jax.report.page.svg import ACCENT, GRID, INK, MUTED, PAPER, Chart, Margins, label, large
from edeline_jax.report.published import published_scores
from edeline_jax.report.runs import RunRecord
from edeline_jax.report.statistics import Aggregates, Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = {
    "mean": "Mean, higher is better",
    "median": "Median, higher is better",
    "interquartile_mean": "Interquartile mean, higher is better",
    "optimality_gap": "Optimality gap, lower is better",
}
OURS = "these runs"
PROFILE = np.linspace(0, 8**0.5, 161) ** 2  # scores at which the profile is drawn


def aggregates_chart(overall: Overall) -> Chart:
    """Each figure over games of each system, with its interval where there is one."""
    systems = {**overall.published, OURS: overall.scores}

    def draw(figure: "Figure") -> None:
        wide = figure.get_figwidth() > figure.get_figheight()
        spaces = {"wspace": 0.1} if wide else {"hspace": 0.42}
        axes = figure.subplots(*(1, 4) if wide else (4, 1), sharey=wide, gridspec_kw=spaces)
        for panel, (name, title) in zip(axes, SHOWN.items(), strict=True):
            _interval_panel(panel, systems, name)
            panel.set_title(title, loc="left", fontsize=11, color=INK)
            label(panel, "human-normalised score", "" if wide and panel is not axes[0] else "system")
            panel.tick_params(axis="y", labelcolor=INK)

    return large("Figures over games", draw, Margins(left=82), (1080, 300), (358, 920))


def _interval_panel(axes: "Axes", systems: dict[str, Estimate[Aggregates]], name: str) -> None:
    axes.set_yticks(range(len(systems)), list(systems))
    axes.grid(False, axis="y")
    axes.set_ylim(-0.6, len(systems) - 0.4)
    for place, (system, figures) in enumerate(systems.items()):
        value = getattr(figures.value, name)
        colour = ACCENT if system == OURS else MUTED
        if value is None:
            continue
        if figures.low is not None:
            ends = (getattr(figures.low, name), getattr(figures.high, name))
            axes.plot(ends, (place, place), color=colour, linewidth=8, alpha=0.28, solid_capstyle="butt")
        axes.plot(value, place, "o", color=colour, markersize=5.5)
    axes.margins(x=0.12)


def profile_chart(runs: list[RunRecord]) -> Chart:
    """The share of runs above each score, and the same of DIAMOND's runs of these games."""
    games = scores_by_game(runs)
    profiles = [
        (name, colour, statistics.estimate(lambda scores: statistics.performance_profile(scores, PROFILE), scores))
        for name, colour, scores in (("DIAMOND", MUTED, diamond_scores(games)), (OURS, ACCENT, list(games.values())))
    ]

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for name, colour, (value, low, high) in profiles:
            if low is not None:
                axes.fill_between(PROFILE, low, high, color=colour, alpha=0.16, linewidth=0)
            axes.plot(PROFILE, value, color=colour, label=name, linestyle="-" if colour == ACCENT else "--")
        _square_root(axes, (0, 8), (0, 0.25, 1, 2, 4, 8))
        axes.set_ylim(0, 1)
        label(axes, "human-normalised score τ (square-root scale)", "share of runs with a score above τ")

    return large("Performance profile", draw, Margins(left=32), (1080, 380), (358, 320))


def games_chart(runs: list[RunRecord]) -> Chart:
    """The score of each run and the mean in each game, beside EDELINE and DIAMOND."""
    ours = scores_by_game(runs)
    order = sorted(ours, key=lambda game: ours[game].mean())
    published = {
        system: [human_normalised_score(game, published_scores(game).get(system, np.nan)) for game in order]
        for system in ("DIAMOND", "EDELINE")
    }

    def draw(figure: "Figure") -> None:
        axes, places = figure.subplots(), np.arange(len(order))
        axes.axvline(0, color=GRID, linewidth=2)
        axes.axvline(1, color=MUTED, linewidth=1, linestyle=":")
        for place, game in enumerate(order):
            axes.plot(ours[game], np.full(len(ours[game]), place), "|", color=ACCENT, alpha=0.55, markersize=8)
        axes.plot(published["DIAMOND"], places, "D", color=MUTED, markersize=4.5, markerfacecolor=PAPER)
        axes.plot(published["EDELINE"], places, "o", color=INK, markersize=5.5, markerfacecolor=PAPER)
        axes.plot([ours[game].mean() for game in order], places, "o", color=ACCENT, markersize=6.5)
        axes.set_yticks(places, [game.replace("_", " ").title() for game in order])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(-0.7, len(order) - 0.3)
        _square_root(axes, axes.get_xlim(), (-0.25, 0, 0.25, 1, 2, 4, 8, 16))
        label(axes, "human-normalised score (square-root scale)", "game")

    height = 90 + 22 * len(order)
    return large("Games", draw, Margins(left=118), (1080, height), (358, height))


def _square_root(axes: "Axes", limits: tuple[float, float], ticks: tuple[float, ...]) -> None:
    """A scale of signed square roots, on which small scores have room and large ones fit."""

    from matplotlib.ticker import NullLocator

    def root(x: np.ndarray) -> np.ndarray:
        return np.sign(x) * np.sqrt(np.abs(x))

    axes.set_xscale("function", functions=(root, lambda x: np.sign(x) * np.square(x)))
    axes.set_xticks([tick for tick in ticks if limits[0] <= tick <= limits[1]])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(limits)
