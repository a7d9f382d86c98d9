"""Measures collection with the policy in it, steps/s: step by step, and in compiled programs if the world is in JAX.

    python -m benchmarks.collection [WORLD ...] [--envs=1,8,64] [--size=64] [--agent=configs/atari.py:breakout]

WORLDs are names of configs, by default recall:recall_32, craftax if it is installed, and atari:breakout, which envpool
plays. All have frames of one size and untrained networks of one config. A step is that of one environment, and counts
when it is on the host; replay and journal come on top (`benchmarks.epoch`). Medians, after a call that compiles.
"""

import dataclasses
import importlib.util
from collections.abc import Iterator, Sequence

import jax
from absl import flags
from ml_collections import config_flags

from benchmarks.timing import median_seconds
from edeline_jax.acting.compiled_player import CompiledPlayer
from edeline_jax.acting.player import Player
from edeline_jax.agent.networks import build_agent, init_params
from edeline_jax.config import pour
from edeline_jax.config.files import load
from edeline_jax.envs import make_env
from edeline_jax.envs.in_jit import InJit
from edeline_jax.runtime import command_line

AGENT = config_flags.DEFINE_config_file("agent", "configs/atari.py:breakout", "Whose actor-critic plays.")
ENVS = flags.DEFINE_list("envs", ["8"], "Numbers of environments.")
SIZE = flags.DEFINE_integer("size", 64, "Side of the frames, pixels.", lower_bound=9)
STEPS = flags.DEFINE_integer("steps", 125, "Steps of each environment in a call.", lower_bound=1)
REPEATS = flags.DEFINE_integer("repeats", 5, "Timed calls.", lower_bound=1)


def main(argv: Sequence[str]) -> None:
    """Prints a row for every world and number of environments, each figure as soon as it is known."""
    installed = ["craftax"] if importlib.util.find_spec("craftax") else []
    worlds = argv[1:] or ["recall:recall_32", *installed, "atari:breakout"]
    print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}; frames of {SIZE.value} x {SIZE.value}\n")
    print("| world | environments | player | steps/s |\n|---|---|---|---|")
    for world in worlds:
        for num_envs in map(int, ENVS.value):
            for name, rate in measure(world, num_envs):
                print(f"| {world} | {num_envs} | {name} | {rate:,.0f} |", flush=True)


def measure(world: str, num_envs: int) -> Iterator[tuple[str, float]]:
    """Steps/s of each player that the world can have."""
    settings = dataclasses.replace(pour(load(world)).env, size=SIZE.value)
    env = make_env(settings, num_envs, 0, lives_end=True)
    agent, key = build_agent(pour(AGENT.value), env.num_actions), jax.random.key(0)
    params = jax.device_put(agent.actor_params(init_params(agent, env.frame_shape, key)), jax.local_devices()[0])
    players = {"step by step": Player(env, agent.actor, 0.01, key)}
    if isinstance(env, InJit):
        players["compiled"] = CompiledPlayer(env, agent.actor, 0.01, key, STEPS.value)
    for name, player in players.items():
        took = median_seconds(lambda player=player: player.play(params, STEPS.value)[0], REPEATS.value)
        yield name, num_envs * STEPS.value / took
    env.close()


if __name__ == "__main__":
    command_line.run(main, AGENT)
