"""The scores of many runs as a text table."""

from collections.abc import Sequence

from edeline_jax.envs import GAMES
from edeline_jax.report.grid import GameScores, Grid, Overall
from edeline_jax.report.published import NUM_STEPS
from edeline_jax.report.runs import RunRecord
from edeline_jax.report.statistics import Estimate

SHOWN = ("DIAMOND", "EDELINE")  # systems beside each game


def table(grid: Grid) -> str:
    """One line per game, figures over games beside those of the published systems, and what has not finished."""
    head = f"{'game':<16} {'finished':>8} {'return':>10} {'std':>9} {'s.e.':>9} {'human-normalised':>17}"
    lines = [head + "".join(f"{system:>11}" for system in SHOWN)]
    lines += [_game_line(game, scores) for game, scores in grid.games.items()]
    if grid.overall is not None:
        lines += ["", *_overall_lines(grid.overall)]
    if grid.better_than_control is not None:
        lines += ["", _improvement_line(grid.better_than_control, "DIAMOND's here")]
    if grid.unfinished:
        lines += ["", "not finished:", *(f"  {_standing(run)}" for run in grid.unfinished)]
    return "\n".join(lines)


def _game_line(game: str, scores: GameScores) -> str:
    columns = (figure(scores.mean, 2), figure(scores.std, 2), figure(scores.standard_error, 2))
    finished = f"{scores.num_finished}/{scores.num_runs}"
    line = f"{game:<16} {finished:>8} {columns[0]:>10} {columns[1]:>9} {columns[2]:>9}"
    published = "".join(f"{figure(scores.published.get(system), 2):>11}" for system in SHOWN)
    return f"{line} {figure(scores.human_normalised, 3):>17}{published}"


def _overall_lines(overall: Overall) -> list[str]:
    same = "" if overall.num_games == len(GAMES) else f"; the published systems over the same {overall.num_games}"
    lines = [
        f"human-normalised scores over {overall.num_games} of {len(GAMES)} games, {overall.num_runs} runs{same}",
        f"{'':<12}{'mean':>9}{'median':>9}{'interquartile mean':>20}{'optimality gap':>16}{'superhuman':>12}",
    ]
    for name, scores in {"these runs": overall.scores, **overall.published}.items():
        for label, row in _with_interval(name, scores):
            cells = zip(row[:-1], (9, 9, 20, 16), strict=True)
            columns = "".join(f"{figure(number, 3):>{width}}" for number, width in cells)
            games = "-" if row.superhuman is None else f"{row.superhuman:g}"
            lines.append(f"{label:<12}{columns}{games:>12}")
    lines += ["", f"{'score above':<12}" + "".join(f"{threshold:>8g}" for threshold in overall.thresholds)]
    for label, shares in _with_interval("of the runs", overall.profile):
        lines.append(f"{label:<12}" + "".join(f"{share:>8.3f}" for share in shares))
    return [*lines, "", _improvement_line(overall.better_than_diamond, "DIAMOND's"), *notes(overall)]


def _improvement_line(better: Estimate[float], others: str) -> str:
    interval = "" if better.low is None else f" (95 %: {better.low:.3f} to {better.high:.3f})"
    return f"a run is better than one of {others} in the same game with probability {better.value:.3f}{interval}"


def notes(overall: Overall) -> list[str]:
    """What a reader of the figures over games must know."""
    lines = []
    if overall.runs_once:
        games = ", ".join(overall.runs_once)
        lines.append(f"no 95 % intervals: they take two finished runs of every game, and there is one of {games}")
    if overall.env_steps != (NUM_STEPS, NUM_STEPS):
        steps = " to ".join(f"{number:,}" for number in sorted(set(overall.env_steps)))
        lines.append(f"the published scores are after {NUM_STEPS:,} steps, these runs took {steps}")
    return lines


def _with_interval(name: str, figures: Estimate) -> list[tuple[str, Sequence]]:
    """Lines of a table: the values, and where there are any, the ends of their intervals."""
    ends = [] if figures.low is None else [("  95 % from", figures.low), ("  to", figures.high)]
    return [(name, figures.value), *ends]


def figure(value: float | None, digits: int) -> str:
    """A number as every view of the report writes it."""
    return "-" if value is None else f"{value:,.{digits}f}"


def _standing(run: RunRecord) -> str:
    test = "" if run.score is None else f", last test {run.score:.2f}"
    return f"{run.title} seed {run.seed}: epoch {run.epoch:,}, {run.env_steps:,} steps{test} ({run.folder})"
