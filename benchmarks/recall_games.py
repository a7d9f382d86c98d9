"""How often trained agents choose rightly k steps after the cue of Recall.

    python -m benchmarks.recall_games AGENT [AGENT ...]     run folders or weights

Every agent plays 100 games of each delay; it draws its actions from its policy. Chance is 0.5, and 0.4 to 0.6 is what
chance gets in 95 of 100 tries. Where a gate ends the agent's own corridors of a delay, there is nothing to choose.
"""

import sys

import numpy as np

from edeline_jax.agent.trained import TrainedAgent, load
from edeline_jax.envs.in_jit import InJit
from edeline_jax.envs.recall import Recall, corridors

DELAYS = (8, 16, 20, 24, 32, 64)
GAMES = 100


def main(*agents: str) -> None:
    """Prints a row for every agent."""
    print(f"| share of {GAMES} right choices after | {' | '.join(map(str, DELAYS))} |\n|---|{'---|' * len(DELAYS)}")
    for path in agents:
        agent = load(path)
        env = agent.config.env
        worlds = [corridors(env.id, env.size, delay) for delay in DELAYS]
        shares = ("gate" if world.has_gate(world.longest) else f"{right_choices(agent, world):.2f}" for world in worlds)
        print(f"| {path} | {' | '.join(shares)} |", flush=True)


def right_choices(agent: TrainedAgent, world: Recall) -> float:
    """The share of games, all of one delay, whose choice was right."""
    delay = world.longest
    env = InJit(world, GAMES, seed=delay)
    frames, rewards = env.reset(), np.zeros(GAMES)
    agent.reset(seed=delay)
    for _ in range(delay + 1):
        step = env.step(np.asarray(agent.act(frames)))
        frames, rewards = step.obs, rewards + step.reward
    env.close()
    return (rewards > 0).mean()


if __name__ == "__main__":
    main(*sys.argv[1:])
