"""What a world model remembers: trains one on Recall, then asks it for a choice made k steps after the cue.

    python -m benchmarks.recall [--config=configs/recall.py:recall_64] [--updates=3900] [--seeds=1] [--film=FILE.png]

The world model learns with its whole loss, denoiser included, by the run's own update program, from games of random
actions. Then the reward and the frame after a choice are imagined, from starts that burn in on 3 frames, as published,
and on all frames since the cue. Recall is the share of games whose reward, or whose colour, is the right one; chance is
0.5. `--config.world_model.loss.horizon=61` trains on segments of 65 steps. Minutes on one CPU core.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from ml_collections import config_flags

from benchmarks import recall_film
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import Config, pour
from edeline_jax.envs.in_jit import InJit
from edeline_jax.envs.recall import Recall, corridors
from edeline_jax.learning.setup import Setup, make_setup
from edeline_jax.learning.state import init_state
from edeline_jax.learning.updates import train_world_model
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import replay_of
from edeline_jax.replay.chunk import Chunk
from edeline_jax.replay.segment import Segment, pad
from edeline_jax.runtime import command_line
from edeline_jax.runtime.files import to_path, write_json
from edeline_jax.world_model.imagination import advance, draw_step, reset

CONFIG = config_flags.DEFINE_config_file("config", "configs/recall.py:recall_64", "What to train.")
UPDATES = flags.DEFINE_integer("updates", 3900, "Updates of the world model.", lower_bound=1)
SEEDS = flags.DEFINE_integer("seeds", 1, "Runs, each with the next seed.", lower_bound=1)
DELAYS = flags.DEFINE_list("delays", ["8", "32", "64"], "Steps between cue and choice that are asked about.")
FIRST_SEED = flags.DEFINE_integer("first_seed", 0, "The first of them, if not 0.", lower_bound=0)
JSON = flags.DEFINE_string("json", "", "File for the figures.")
FILM = flags.DEFINE_string("film", "", "File for a picture of what the last of them dreams; see `recall_film`.")

STREAMS, STEPS = 16, 2_500  # of games to learn from
GAMES = 256  # asked about, of each delay
EVERY = 300  # updates between two lines


def main(argv: Sequence[str]) -> None:
    """Prints a line per look at the world model; the figures go to the JSON file if asked for."""
    del argv
    config, every = pour(CONFIG.value), []
    env = config.env
    print("| seed | updates | reward loss | frames of burn-in | delay | recall in rewards | recall in frames |")
    print("|---|---|---|---|---|---|---|")
    for seed in range(FIRST_SEED.value, FIRST_SEED.value + SEEDS.value):
        for look in learn(config, seed, UPDATES.value):
            for delay in map(int, DELAYS.value):
                for burn_in in (look.setup.context - 1, delay):
                    shares = recall(look.params, look.setup, corridors(env.id, env.size, delay), burn_in)
                    every.append((seed, look.updates, look.loss_rew, burn_in, delay, *shares))
                    row = (f"{x:.3g}" if isinstance(x, float) else str(x) for x in every[-1])
                    print(f"| {' | '.join(row)} |", flush=True)
            if JSON.value:
                write_json(to_path(JSON.value), every)
    if FILM.value:
        games = played(corridors(env.id, env.size, recall_film.DELAY), 32, recall_film.DELAY + 2, 1_000)
        recall_film.draw(recall_film.dream(look.params, look.setup, games), FILM.value)


class Look(NamedTuple):
    """A world model on its way."""

    updates: int
    loss_rew: float
    params: Params
    setup: Setup


def learn(config: Config, seed: int, updates: int) -> Iterator[Look]:
    """Trains a world model on games of random actions; yields it every `EVERY` updates."""
    world = corridors(config.env.id, config.env.size)
    agent = build_agent(config, world.num_actions)
    setup, replay = make_setup(agent, config), replay_of(played(world, STREAMS, STEPS, seed))
    state = init_state(setup, jax.random.key(seed))
    train = jax.jit(train_world_model, static_argnums=3, donate_argnums=0)
    for done in range(0, updates, EVERY):
        state, metrics = train(state, replay, np.int32(min(EVERY, updates - done)), setup)
        yield Look(int(state.world_model.updates), float(metrics["loss_rew"]), state.world_model.params, setup)


def recall(params: Params, setup: Setup, world: Recall, burn_in: int) -> tuple[float, float]:
    """The shares of games, of one delay, whose imagined reward, and whose imagined colour, are the right ones."""
    delay = world.longest
    games = played(world, GAMES, delay + 2, seed=1_000)
    known = pad(*(jnp.asarray(x[:, delay - burn_in : delay + 1]) for x in (*games[:4], np.ones_like(games.ends))))
    logits, colour = _imagine(params, known, setup)
    right = games.rewards[:, delay] > 0
    cue = games.frames[:, 0, -1, -1]
    was_red = cue[:, 0] > cue[:, 2]
    return float(((logits[:, 2] > logits[:, 0]) == right).mean()), float(
        ((colour[:, 0] > colour[:, 2]) == was_red).mean()
    )


@jax.jit(static_argnums=2)
def _imagine(params: Params, known: Segment, setup: Setup) -> tuple[jax.Array, jax.Array]:
    """The reward's logits of the last action of each segment, and the colour in the middle of the frame after it."""
    model, config = setup.agent.world_model, setup.world_model_env
    draws = draw_step(jax.random.key(0), setup.frame_shape, len(known.actions), config)
    state, prediction = advance(params, model, reset(params, model, known), known.actions[:, -1], draws, config)
    middle = setup.frame_shape[0] // 2
    return prediction.reward_logits, state.frames[:, -1, middle, middle]


def played(world: Recall, num_envs: int, num_steps: int, seed: int) -> Chunk:
    """So many steps of random actions in each of several environments."""
    env, rng = InJit(world, num_envs, seed), np.random.default_rng(seed)
    frames, begins, steps = env.reset(), np.ones(num_envs, bool), []
    for _ in range(num_steps):
        actions = rng.integers(world.num_actions, size=num_envs).astype(np.int32)
        step = env.step(actions)
        steps.append((frames, actions, step.reward, step.end, step.truncation, begins, begins))
        frames, begins = step.obs, step.game_over
    return Chunk(*(np.stack(x, 1) for x in zip(*steps, strict=True)))


if __name__ == "__main__":
    command_line.run(main, CONFIG)
