"""Finds runs on the disk; reads their progress, scores and metrics files."""

import contextlib
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from etils.epath import Path

from edeline_jax.envs import NO_ENV
from edeline_jax.runtime.errors import one_line
from edeline_jax.runtime.files import absolute
from edeline_jax.workdir.folder import RunFolder

Row = dict[str, float]
COUNTERS = ("epoch", "world_model_updates", "actor_critic_updates")
_LOG = logging.getLogger(__name__)
# raised by damaged or unexpected JSON
UNUSABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


class RunRecord(NamedTuple):
    """A run's folder, progress and score."""

    folder: Path
    game: str  # NO_ENV: it was not tested in a game
    seed: int
    finished: bool
    score: float | None  # mean return of its last test; None if there was none yet
    epoch: int
    env_steps: int
    kind: str = "edeline"  # or diamond: `agent.kind`

    @property
    def title(self) -> str:
        """Its row in a table: the runs of a game, DIAMOND's apart from EDELINE's."""
        return f"{self.game} (DIAMOND)" if self.kind == "diamond" else self.game


def find_runs(folders: Iterable[Path], warn: Callable[[str], None]) -> list[RunRecord]:
    """All runs in and below `folders`, each once, sorted by game, seed and path.

    Args:
      warn: called with one line for each file that cannot be used; the search continues.
    """
    paths = {str(absolute(path)): path for folder in folders for path in _folders_with_config(folder)}
    runs = [_read_run(path, warn) for path in paths.values()]
    return sorted((run for run in runs if run is not None), key=lambda run: (run.game, run.seed, str(run.folder)))


def without_repetitions(runs: Iterable[RunRecord], warn: Callable[[str], None]) -> list[RunRecord]:
    """One run of every game and seed, the one that is furthest: a copy of a run is no second sample.

    Runs without a game stay: their datasets may differ, and they have no score.

    Args:
      warn: called with one line for each run that is left out.
    """
    furthest: dict[tuple, RunRecord] = {}
    for run in sorted(runs, key=lambda run: (run.finished, run.env_steps, run.epoch), reverse=True):
        place = (run.title, run.seed, str(run.folder) if run.game == NO_ENV else "")
        counted = furthest.setdefault(place, run)
        if counted is not run:
            warn(f"{run.folder}: {run.title} with seed {run.seed} again, as in {counted.folder}; not counted")
    return sorted(furthest.values(), key=lambda run: (run.title, run.seed))


def _folders_with_config(folder: Path) -> Iterator[Path]:
    try:
        children = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError:
        return  # no permission
    names = {child.name for child in children}
    run = RunFolder(folder)
    if run.config.name in names:
        yield folder
    if not names >= {run.config.name, run.metrics.name}:  # a run contains no other runs, but many files
        for child in children:
            if not os.path.islink(child):  # a link may lead in a circle
                yield from _folders_with_config(child)


def _read_run(folder: Path, warn: Callable[[str], None]) -> RunRecord | None:
    run = RunFolder(folder)
    try:
        config = json.loads(run.config.read_text())
        game, seed = str(config["env"]["id"]), int(config["seed"])
        kind = str(config.get("agent", {}).get("kind", "edeline"))  # which earlier versions did not write
    except UNUSABLE as error:
        warn(f"{run.config}: not the config of a run ({one_line(error)})")
        return None
    if not (run.metrics.exists() or run.summary.exists()):
        return None  # a converted agent, or a start that came to nothing
    end = _read_summary(run.summary, game, warn)
    if end is not None:
        return RunRecord(folder, game, seed, True, *end, kind)
    rows = _lines_or_none(run.metrics, warn)
    epoch, env_steps = _newest(rows, "epoch", "env_steps") or (0, 0)
    (score,) = _newest(rows, "test/return_mean") or (None,)
    return RunRecord(folder, game, seed, False, score, int(epoch), int(env_steps), kind)


def _read_summary(path: Path, game: str, warn: Callable[[str], None]) -> tuple[float | None, int, int] | None:
    """Score, epoch and steps at the end of a run; None if it has not finished."""
    try:
        summary = json.loads(path.read_text())
        score = None if game == NO_ENV else _finite(summary["return_mean"])
        epoch, env_steps = (_finite(summary["progress"][name]) for name in ("epoch", "env_steps"))
        return score, int(epoch), int(env_steps)
    except FileNotFoundError:
        return None
    except UNUSABLE as error:
        warn(f"{path}: not the summary of a run ({one_line(error)}); the run counts as not finished")
        return None


def _lines_or_none(path: Path, warn: Callable[[str], None]) -> list[Row]:
    """The lines of a metrics file; empty if it is missing, or with a warning if it cannot be read."""
    try:
        lines = read_lines(path)
        if _newest(lines, "epoch", "env_steps") is None and path.read_bytes():
            warn(f"{path}: not the metrics of a run")
        return lines
    except FileNotFoundError:
        return []
    except UNUSABLE as error:
        warn(f"{path}: cannot be read ({one_line(error)})")
        return []


def _newest(rows: list[dict], *names: str) -> tuple[float, ...] | None:
    """The values of the newest row that has all the names."""
    for row in reversed(rows):
        with contextlib.suppress(*UNUSABLE):
            return tuple(_finite(row[name]) for name in names)
    return None


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return value


def read_lines(path: Path) -> list[Row]:
    """The numbers in the lines of a metrics file; lines that no run has written are skipped with a warning."""
    lines = []
    for number, text in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):  # a killed run leaves its last line incomplete
            line = None
        if isinstance(line, dict):
            lines.append({name: value for name, value in line.items() if _is_number(value)})
        elif text:
            _LOG.warning("%s, line %d: cut short, or not of a run; skipped", path, number)
    return lines


def _is_number(value: Any) -> bool:
    """Whether it is a finite number that a float can hold."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def read_rows(path: Path, before: float = math.inf) -> list[Row]:
    """The lines of a metrics file, ordered by their counters.

    Lines with equal counters are merged; lines that a resumed run wrote again replace the earlier ones.

    Args:
      before: seconds of training (`wall_time`) at a checkpoint; what the run wrote after it is left out.
    """
    rows: list[Row] = []
    for row in _without_lost(read_lines(path), before):
        if not all(_is_number(row.get(name)) for name in COUNTERS):
            continue  # of another program
        while rows and counters(rows[-1]) > counters(row):
            rows.pop()
        if rows and counters(rows[-1]) == counters(row):
            rows[-1].update(row)
        else:
            rows.append(row)
    return rows


def _without_lost(lines: list[Row], before: float) -> list[Row]:
    """Without lines of training that was lost: a run goes on with the `wall_time` of its checkpoint."""
    kept: list[Row] = []
    for line in lines:
        _drop_from(kept, math.nextafter(line.get("wall_time", math.nan), math.inf))
        kept.append(line)
    _drop_from(kept, before)
    return kept


def _drop_from(lines: list[Row], wall_time: float) -> None:
    while lines and lines[-1].get("wall_time", math.nan) >= wall_time:  # false for a line of another program
        lines.pop()


def counters(row: Row) -> tuple[float, ...]:
    """The sort key of a run's lines: epoch, then updates."""
    return tuple(row[name] for name in COUNTERS)
