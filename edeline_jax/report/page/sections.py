"""The metrics of a run as sections of small charts."""

from typing import NamedTuple

from edeline_jax.report.curves import metric_names
from edeline_jax.report.page.quantities import KNOWN, RATES, is_memory, is_rate
from edeline_jax.report.page.run_charts import Counter, metric_panel, shades, time_chart
from edeline_jax.report.page.svg import Chart
from edeline_jax.report.runs import Row

HOURS = Counter("wall_time", "hours of the run", 1 / 3600)
STEPS = Counter("env_steps", "environment steps")
GAMES = {"collect": "collected games", "test": "test games"}  # group -> which games
NETWORKS = {"world_model": "world model", "actor_critic": "actor-critic"}


class Section(NamedTuple):
    """Small charts of one subject, in rows under titles of their own."""

    title: str
    text: str
    rows: dict[str, list[Chart]]
    tested: bool = False  # whether there are tests beside the training


class Phase(NamedTuple):
    """A part of the run's time."""

    name: str
    hours: float
    share: float  # %
    shade: float  # opacity of its colour


def sections(rows: list[Row]) -> list[Section]:
    """Those that have a chart."""
    all_ = (_world_model(rows), _actor_critic(rows), _episodes(rows), _speed(rows))
    return [section for section in all_ if section.rows]


def time_spent(rows: list[Row]) -> tuple[Chart | None, list[Phase]]:
    """Where the time went: by epoch, and in all, the longest first."""
    totals = {
        name: sum(row.get(f"seconds/{name}", 0.0) for row in rows) / 3600 for name in metric_names(rows, "seconds")
    }
    names = sorted(totals, key=totals.get, reverse=True)
    hours = sum(totals.values()) or 1.0
    phases = [
        Phase(name.replace("_", " "), totals[name], 100 * totals[name] / hours, shade)
        for name, shade in zip(names, shades(len(names)), strict=True)
    ]
    return time_chart(rows, names), phases


def _panels(
    rows: list[Row], group: str, names: list[str], counter: Counter | None = None, whose: str = ""
) -> list[Chart]:
    counter = counter or Counter(f"{group}_updates", f"{group.replace('_', '-')} updates")
    order = {name: place for place, name in enumerate(KNOWN)}
    panels = (
        metric_panel(rows, counter, group, name, whose)
        for name in sorted(names, key=lambda name: order.get(name, len(order)))
    )
    return [panel for panel in panels if panel is not None]


def _world_model(rows: list[Row]) -> Section:
    group = "world_model"
    names = list(dict.fromkeys([*metric_names(rows, group), *metric_names(rows, f"test_{group}")]))
    names = [name for name in names if not _is_speed(name) and not name.endswith("_repeat_last")]
    rates = sorted((n for n in names if is_rate(n)), key=rate_order)
    kinds = {
        "Losses": [n for n in names if n.startswith(("loss_", "harmonized_"))],
        "Harmonizers": [n for n in names if n.startswith("harmony_")],
        "Rewards and ends": rates,
    }
    known = {name for kind in kinds.values() for name in kind}
    kinds["Pixels and gradients"] = [n for n in names if n not in known]
    text = (
        "Rewards and ends are rare, so accuracy says little: a model that never predicts one scores high. Precision is "
        "the share of the predicted that came, recall the share of those that came that were predicted. Pixel error is "
        "the root mean square one step ahead; the dashed line repeats the last frame."
    )
    panels = {title: _panels(rows, group, of_kind) for title, of_kind in kinds.items()}
    return _section("World model", text, panels)._replace(tested=True)


def rate_order(name: str) -> tuple:
    """Sorts precision, recall and F1 by class, and accuracies to the end."""
    words = name.split("_")
    return "accuracy" in words, [word for word in words if word not in RATES], words


def _actor_critic(rows: list[Row]) -> Section:
    names = [name for name in metric_names(rows, "actor_critic") if not _is_speed(name)]
    text = "It learns in the dream alone. Entropy is in nats; a policy that does not choose among n actions has ln n."
    return _section("Actor-critic", text, {"": _panels(rows, "actor_critic", names)})


def _episodes(rows: list[Row]) -> Section:
    names = ["return_mean", "length_mean"]
    panels = [panel for group, whose in GAMES.items() for panel in _panels(rows, group, names, STEPS, whose)]
    return _section("Games", "The returns of the learning curve on scales of their own.", {"": panels})


def _speed(rows: list[Row]) -> Section:
    speed = [
        panel
        for group, whose in NETWORKS.items()
        for panel in _panels(rows, group, ["seconds_per_update"], HOURS, whose)
    ]
    groups = dict.fromkeys(key.split("/")[0] for row in rows for key in row if "/" in key)
    memory = [
        panel
        for group in groups
        for panel in _panels(
            rows,
            group,
            [name for name in metric_names(rows, group) if is_memory(name)],
            HOURS,
            "" if group == "memory" else NETWORKS.get(group, group),
        )
    ]
    return _section("Speed and memory", "", {"Speed": speed, "Memory": memory})


def _section(title: str, text: str, kinds: dict[str, list[Chart]]) -> Section:
    return Section(title, text, {name: charts for name, charts in kinds.items() if charts})


def _is_speed(name: str) -> bool:
    return name == "seconds_per_update" or is_memory(name)
