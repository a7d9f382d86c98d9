"""The exam of a trained agent: whole games with fixed seeds, beside as many of random play and published scores."""

from collections.abc import Callable
from typing import Any, NamedTuple

from etils.epath import Path

from edeline_jax.acting.scoreboard import Game
from edeline_jax.agent.trained import Policy, trained_agent
from edeline_jax.agent.weights import Weights, checksum, read_agent
from edeline_jax.config import Config
from edeline_jax.envs import VectorEnv, make_env
from edeline_jax.evaluation.actors import Actor, RandomActor
from edeline_jax.evaluation.round_log import RoundLog
from edeline_jax.evaluation.rounds import Plan, Rounds
from edeline_jax.evaluation.scorecard import statistics, table
from edeline_jax.evaluation.video import write_film
from edeline_jax.report.published import published_scores
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import to_path, write_json
from edeline_jax.workdir import example
from edeline_jax.workdir.folder import RunFolder

MOST_FRAMES = 1_000  # of a film; of a longer game it shows every k-th


class Candidate(NamedTuple):
    """Whom an exam is of.

    name: the path of its weights. key: what tells it from other agents, and from itself in other environments.
    """

    name: str
    key: str
    actor: Actor
    num_actions: int


class Outputs(NamedTuple):
    """Where an exam leaves its files.

    name: the beginning of the names of films.
    """

    json: Path
    films: Path
    name: str

    @property
    def log(self) -> Path:
        """The finished rounds."""
        return self.json.with_name(f"{self.json.stem}.rounds.jsonl")

    def make_folders(self) -> None:
        """Makes the folders; raises OSError if that is not possible."""
        for folder in (self.json.parent, self.films):
            folder.mkdir(parents=True, exist_ok=True)


def find_agent(source: Path) -> tuple[Path, Path, str]:
    """The agent that `source` stands for, the folder for its exams, and the beginning of their files' names.

    Args:
      source: a run, whose newest agent counts, its `agents/EPOCH`, or a file; the example's exams are the user's.

    Raises:
      UserError: a run without an agent.
    """
    run = RunFolder(source)
    if run.config.exists():
        if run.newest_agent is None:
            raise UserError(
                f"{run.agents}: no agent was saved yet; the run saves one every so many epochs, and at its end"
            )
        source = run.newest_agent
    run = RunFolder(source.parent.parent)
    if source.parent == run.agents:
        return source, run.exams, f"epoch-{source.name}"
    if source == example.AGENT:
        return source, example.OUTPUT, example.NAME
    return source, source.parent, source.stem


def candidate(path: Path, weights: Weights) -> Candidate:
    """The agent of weights with their config, acting as in the tests of its run."""
    agent = trained_agent(weights, Policy(epsilon=weights.config.evaluation.epsilon))
    return Candidate(str(path), checksum(weights), agent, agent.num_actions)


def env_maker(config: Config, num_envs: int) -> Callable[[int], VectorEnv]:
    """Makes environments with a seed, for whole games; raises UserError if the config has no game."""
    if not config.has_env:
        raise UserError("config.env.id is none, so there is no game to play: name one with --config")
    return lambda seed: make_env(config.env, num_envs, seed, lives_end=False)


def evaluate(
    source: Path,
    config: Config | None,
    plan: Plan,
    json: str,
    folder: str,
    between: Callable[[], None],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Examines the agent that `source` stands for; see `find_agent` and `examine`.

    Args:
      config: of the agent and its game, if not its own.
      json: the file for the figures; empty: in `folder`.
      folder: for figures and films; empty: the agent's own.

    Raises:
      UserError: there is no such agent, or no game to play.
    """
    path, own_folder, name = find_agent(source)
    weights = read_agent(path, config)
    plan = plan._replace(num_envs=min(plan.num_envs, plan.num_games))
    make_env = env_maker(weights.config, plan.num_envs)
    name = f"{name}-seed-{plan.seed}"
    films = to_path(folder) if folder else own_folder
    outputs = Outputs(to_path(json) if json else films / f"{name}.json", films, name)
    outputs.make_folders()
    id = weights.config.env.id
    say(f"{path}: {plan.num_games} games of {id}, {plan.num_envs} at a time, seed {plan.seed}")
    return examine(candidate(path, weights), id, make_env, plan, outputs, between, say)


def examine(
    candidate: Candidate,
    id: str,
    make_env: Callable[[int], VectorEnv],
    plan: Plan,
    outputs: Outputs,
    between: Callable[[], None],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Plays the games that are not in the log, prints the table, and leaves the same figures as JSON, and films.

    Args:
      id: of the environment that `make_env` makes with a seed.
      between: called before every step; may raise to stop, and the same exam goes on with the next round.
      say: called with every line for the user.

    Returns:
      The tree in the JSON file.
    """
    log = RoundLog(outputs.log, {"agent": candidate.key, "seed": plan.seed, "num_envs": plan.num_envs})
    actors = {"agent": candidate.actor, "random": RandomActor(candidate.num_actions)}
    players = {name: Rounds(name, actor, make_env, plan, between) for name, actor in actors.items()}
    games = {name: rounds.play(log, say) for name, rounds in players.items()}
    card = {
        "id": id,
        "agent_path": candidate.name,
        "agent_checksum": candidate.key,
        **plan._asdict(),
        **{name: statistics(id, played) for name, played in games.items()},
        "published": published_scores(id),
    }
    say(table(card))
    card["films"] = _film(players["agent"], games["agent"], outputs, say)
    write_json(outputs.json, card)
    say(f"  {outputs.json}")
    return card


def _film(rounds: Rounds, games: list[Game], outputs: Outputs, say: Callable[[str], None]) -> dict[str, Any]:
    """Writes films of the best, the median and the worst game, which are played again for that."""
    order = sorted(range(len(games)), key=lambda number: (games[number].score, number))
    films = {}
    for title, number in (("best", order[-1]), ("median", order[len(order) // 2]), ("worst", order[0])):
        game, frames = rounds.film(number, games[number].length, MOST_FRAMES)
        if game != games[number]:  # it was played on another machine, whose numbers are rounded otherwise
            say(f"game {number} went otherwise this time: no film of the {title} game")
            continue
        files = write_film(frames, outputs.films, f"{outputs.name}-{title}")
        films[title] = {"game": number, "return": game.score, "files": [path.name for path in files]}
        for path in files:
            say(f"  {path}")
    return films
