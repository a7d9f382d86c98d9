"""Probes the memory of a trained agent on games of its own and on random play."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from etils.epath import Path

from edeline_jax.agent.networks import build_agent
from edeline_jax.agent.weights import Weights, checksum, read_agent, to_params
from edeline_jax.config import Config
from edeline_jax.evaluation.actors import RandomActor
from edeline_jax.evaluation.exam import candidate, env_maker, find_agent
from edeline_jax.evaluation.memory import last_steps, whole_history
from edeline_jax.evaluation.probe_report import draw_delays, table
from edeline_jax.evaluation.probes import (
    FEWEST_GAMES,
    ProbedGame,
    part_of,
    probe_delays,
    probe_frames,
    probe_rewards,
)
from edeline_jax.evaluation.recording import RecordedGame, record_games
from edeline_jax.evaluation.rounds import Plan
from edeline_jax.replay.reward import signs
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import to_path, write_json
from edeline_jax.workdir.folder import PROBE

MOST_STEPS = 1_000  # of a game
SIDE = 16  # px, of the frames that are predicted, in shades of grey


def probe(
    source: Path,
    config: Config | None,
    plan: Plan,
    json: str,
    folder: str,
    between: Callable[[], None],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Probes the memory of the agent that `source` stands for; see `exam.find_agent`.

    Next frames and rewards are those of the agent's games, past actions those of random play. The games are those of
    an exam of the same plan, at most `MOST_STEPS` of each.

    Args:
      config: of the agent and its game, if not its own.
      json: the file for the figures; empty: in `folder`.
      folder: for figures and picture; empty: the agent's own.
      between: called before every step; may raise to stop.
      say: called with every line for the user.

    Returns:
      The tree in the JSON file.

    Raises:
      UserError: there is no such agent, or no game to play, or too few games are asked for, or it has no memory.
    """
    if plan.num_games < FEWEST_GAMES:
        raise UserError(
            f"--episodes={plan.num_games}: probes need {FEWEST_GAMES} games or more, since they are "
            "tested on other games than they are fitted to"
        )
    plan = plan._replace(num_envs=min(plan.num_envs, plan.num_games))
    path, own_folder, name = find_agent(source)
    weights = read_agent(path, config)
    if weights.config.agent.kind == "diamond":
        raise UserError(f"{path} is an agent of DIAMOND, which has no memory h to probe; leave out --probe")
    examined, make_env = candidate(path, weights), env_maker(weights.config, plan.num_envs)
    outputs = to_path(folder) if folder else own_folder
    figures = to_path(json) if json else outputs / f"{name}-seed-{plan.seed}{PROBE}.json"
    for needed in (outputs, figures.parent):
        needed.mkdir(parents=True, exist_ok=True)
    games = {}
    for title, actor in (("agent", examined.actor), ("random", RandomActor(examined.num_actions))):
        rounds = record_games(actor, make_env, plan, MOST_STEPS, between)
        games[title] = _probed(title, rounds, weights, examined.num_actions, say)
    steps = {title: _count(of) for title, of in games.items()}
    if not all(count for counts in steps.values() for count in counts.values()):
        raise UserError(f"the games are shorter than the {weights.config.context} steps that imagination begins with")
    card = {
        "id": weights.config.env.id,
        "agent_path": str(path),
        "agent_checksum": checksum(weights),
        **plan._asdict(),
        "context": weights.config.context,
        "burn_in": weights.config.burn_in,
        "steps": steps,
        "next_frame": probe_frames(games["agent"]),
        "reward_sign": probe_rewards(games["agent"]),
        "past_action": probe_delays(games["random"], examined.num_actions),
    }
    say(table(card))
    picture = figures.with_suffix(".png")
    draw_delays(card, picture)
    write_json(figures, card)
    for left in (figures, picture):
        say(f"  {left}")
    return card


def _probed(
    title: str,
    rounds: Iterator[list[RecordedGame]],
    weights: Weights,
    num_actions: int,
    say: Callable[[str], None],
) -> list[ProbedGame]:
    """The games of the rounds, of which only what probes need is kept."""
    games: list[ProbedGame] = []
    for recorded in rounds:
        games += remembered(recorded, weights, num_actions)
        say(f"{title}: {len(games)} games, {sum(len(game.actions) for game in games):,} steps")
    return games


def remembered(games: Sequence[RecordedGame], weights: Weights, num_actions: int) -> list[ProbedGame]:
    """Recorded games with what the memory knows in each step, and for comparison what an eye sees."""
    config = weights.config
    model = build_agent(config, num_actions).world_model
    params = to_params(weights, config)["world_model"]
    first = config.context - 1
    whole = whole_history(params, model, games)
    burnt_in = last_steps(params, model, games, config.context, config.burn_in)
    probed = []
    for game, h, h_last in zip(games, whole, burnt_in, strict=True):
        frames = small_frames(game.frames)
        eye = np.concatenate([frames[:-1], np.eye(num_actions)[game.actions]], 1)
        features = {"whole_history": h[first:], "burn_in": h_last, "frame": eye[first:]}
        probed.append(ProbedGame(features, frames, game.actions, signs(game.rewards)))
    return probed


def small_frames(frames: np.ndarray) -> np.ndarray:
    """Shades of grey of frames uint8 [T, H, W, 3], averaged over areas: float32 [T, SIDE * SIDE] in 0..1."""
    from PIL import Image

    grey = (Image.fromarray(frame).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX) for frame in frames)
    return np.stack([np.asarray(picture, np.float32).ravel() / 255 for picture in grey])


def _count(games: Sequence[ProbedGame]) -> dict[str, int]:
    """Steps with features, by part."""
    counts = {"train": 0, "validation": 0, "test": 0}
    for number, game in enumerate(games):
        counts[part_of(number)] += len(game.actions) - game.first
    return counts
