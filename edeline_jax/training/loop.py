"""A run: collect, train, test, save, epoch after epoch (EDELINE, algorithm 1 and appendix).

Order of a start, first or resumed:
  1. mesh, networks and abstract state from the config alone;
  2. the newest checkpoint, if there is one, into that abstract state; otherwise a fresh state;
  3. environments, which always begin with new games: episodes that were open when the state was saved stay as they are;
  4. epochs from where the counters stand.
"""

import functools
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from edeline_jax.agent import Params, build_agent, count_params
from edeline_jax.config import Config, Schedule, to_dict
from edeline_jax.envs import VectorEnv
from edeline_jax.replay.buffer import EpisodeTable
from edeline_jax.training.checkpoints import Checkpoints, Progress
from edeline_jax.training.collection import Collector, empty_replay, make_environments
from edeline_jax.training.devices import STATE_SPEC, local, make_mesh, shardings
from edeline_jax.training.evaluation import Test, play_games, world_model_test
from edeline_jax.training.metrics import MetricsLog, not_finite, summarize_games, summarize_updates
from edeline_jax.training.model_free import RealEnvironment, train_model_free
from edeline_jax.training.player import Player
from edeline_jax.training.programs import build_programs
from edeline_jax.training.state import init_state

Say = Callable[[str], None]


class NotFiniteError(RuntimeError):
    """A loss or gradient became NaN or infinite."""


class Run:
    """One run in one folder. `state`, `replay` and `progress` are all that changes, and all that a checkpoint holds."""

    def __init__(self, config: Config, workdir: Path, say: Say):
        self.config, self.workdir, self.say = config, workdir, say
        self.mesh = make_mesh()
        keys = jax.random.split(jax.random.key(config.seed), 3)
        self._train_env = make_environments(config, config.env.num_envs, 2 * config.seed, training=True)
        self.agent = build_agent(config, self._train_env.num_actions)
        self.programs = build_programs(self.agent, config, self.mesh)
        self.checkpoints = Checkpoints(workdir, config.checkpointing)
        self.log = MetricsLog(workdir, config.wandb, to_dict(config))
        self._begin(keys[0])
        self.collector = self._make_collector(jax.random.fold_in(keys[1], self.progress.epoch))
        self._test_key = keys[2]
        self._since = time.perf_counter()

    def _begin(self, key: jax.Array) -> None:
        init = functools.partial(init_state, self.agent, self.config)
        state_shardings = shardings(self.mesh, STATE_SPEC, jax.eval_shape(init, key))
        make_state = jax.jit(init, out_shardings=state_shardings)
        make_replay = functools.partial(empty_replay, self.config, self.mesh)
        replay = make_replay()
        abstract_state = jax.tree.map(
            lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), jax.eval_shape(init, key), state_shardings
        )
        abstract_replay = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), replay)
        restored = self.checkpoints.restore(abstract_state, abstract_replay)
        self.resumed = restored is not None
        self.state, self.replay, self.progress = restored or (make_state(key), replay, Progress())

    def _make_collector(self, key: jax.Array) -> Collector:
        table = EpisodeTable.restore(self.replay, self.progress.replay_step)
        player = Player(self._train_env, self.agent.actor_critic, self.config.collection.epsilon, key)
        return Collector(player, table, self.mesh)

    def introduce(self) -> None:
        """Says what runs, on what, and where from."""
        devices = self.mesh.devices.ravel()
        sizes = {name: f"{count_params(params):,}" for name, params in self.params.items()}
        replay_bytes = sum(x.nbytes for x in jax.tree.leaves(self.replay))
        self.say(f"edeline-jax: {self.config.env.id}, seed {self.config.seed}, in {self.workdir}")
        self.say(f"devices: {len(devices)} x {devices[0].device_kind} ({devices[0].platform}), JAX {jax.__version__}")
        self.say(f"parameters: world model {sizes['world_model']}, actor-critic {sizes['actor_critic']}")
        self.say(
            f"replay: {self.config.collection.num_steps_total:,} steps, {replay_bytes / 1e9:.3f} GB on the devices"
        )
        if self.resumed:
            self.say(
                f"resumed after epoch {self.progress.epoch}, {self.progress.env_steps} steps, updates {self.updates}"
            )

    @property
    def params(self) -> Params:
        """The weights of both networks, on the mesh."""
        return {"world_model": self.state.world_model.params, "actor_critic": self.state.actor_critic.params}

    @property
    def updates(self) -> tuple[int, int]:
        """Updates done so far of world model and actor-critic."""
        return int(self.state.world_model.updates), int(self.state.actor_critic.updates)

    def train(self) -> None:
        """Runs epochs until the schedule is through; none where the config only wants an evaluation."""
        while self.config.training.should and not self.schedule_is_through:
            self._epoch()

    @property
    def schedule_is_through(self) -> bool:
        """Whether every step was collected and every final epoch done."""
        collected = self.progress.env_steps >= self.config.collection.num_steps_total
        return collected and self.progress.final_epochs >= self.config.training.num_final_epochs

    def _epoch(self) -> None:
        self._advance(epoch=self.progress.epoch + 1)
        if self.config.training.model_free:
            self._train_model_free()
        else:
            self._collect()
            for network in ("world_model", "actor_critic"):
                self._train(network)
        self.say(self._epoch_line())
        if self.progress.epoch % self.config.evaluation.every == 0:
            self.test(self.config.evaluation.num_episodes)
        c = self.config.checkpointing
        if self.progress.epoch % c.save_agent_every == 0 or self.schedule_is_through:
            self.checkpoints.save_agent(self.params, self.progress.epoch)
        if self.progress.epoch % c.save_state_every == 0 or self.schedule_is_through:
            self._advance()
            self.checkpoints.save(self.state, self.replay, self.progress)

    def _collect(self) -> None:
        c = self.config.collection
        if self.progress.env_steps >= c.num_steps_total:
            self._advance(final_epochs=self.progress.final_epochs + 1)
            return
        begin, first = self.collector.num_steps, self.progress.epoch == 1
        target = c.first_epoch.min if first else begin + c.steps_per_epoch
        params, games = local(self.state.actor_critic.params), []
        with self._bar("collect", target - begin, "step") as bar:
            while (before := self.collector.num_steps) < min(target, c.num_steps_total):
                wanted = min(c.steps_per_epoch, min(target, c.num_steps_total) - before)
                self.replay, finished = self.collector.collect(params, self.replay, wanted)
                games += finished
                bar.update(self.collector.num_steps - before)
                if first and self.collector.minority_rewards < c.first_epoch.threshold_rew:
                    target = min(c.first_epoch.max, max(target, self.collector.num_steps + c.steps_per_epoch))
        self._advance(
            env_steps=self.collector.num_steps, replay_step=self.collector.num_steps // self.config.env.num_envs
        )
        self._write("collect", summarize_games(games))

    def _train(self, network: str) -> None:
        num_updates = updates_in_epoch(getattr(self.config, network).training, self.progress.epoch)
        if num_updates == 0:
            return
        program = self.programs[network]
        first = program.seconds_per_update == 0
        if first:
            self.say(f"compiling the {network} update ...")
            program.compile(self.state, self.replay)
            self.say(f"compiled in {program.compile_seconds:.0f} s")
        with self._bar(network, num_updates, "update") as bar:
            for dispatch in program.run(self.state, self.replay, num_updates):
                self.state = dispatch.state
                bar.update(dispatch.num_updates)
                scalars = summarize_updates(dispatch.metrics)
                self._refuse_not_finite(network, scalars)
                if first:
                    first = False
                    self.say(f"{network}: {program.seconds_per_update * 1e3:.1f} ms per update")
                self._advance()
                self._write(network, {**scalars, "seconds_per_update": program.seconds_per_update})

    def _train_model_free(self) -> None:
        c = self.config.actor_critic
        if self.progress.env_steps >= self.config.collection.num_steps_total:
            self._advance(final_epochs=self.config.training.num_final_epochs)
            return
        env, learner = self._real_environment, self.state.actor_critic
        env.games.clear()
        scalars: dict[str, float] = {}
        num_updates = updates_in_epoch(c.training, self.progress.epoch)
        for _ in tqdm(range(num_updates), desc="model-free", unit="update", leave=False, disable=None):
            learner, metrics = train_model_free(learner, env, self.state.key, self.agent, self.config)
            scalars = summarize_updates(jax.device_get(metrics))
            self._refuse_not_finite("actor_critic", scalars)
        self.state = self.state._replace(actor_critic=learner)
        self._advance(env_steps=self.progress.env_steps + num_updates * c.loss.backup_every * env.num_envs)
        self._write("actor_critic", scalars)
        self._write("collect", summarize_games(env.games))

    def test(self, num_games: int) -> Test:
        """Plays test games, writes their statistics and the world model's losses on them, and returns them."""
        c = self.config.evaluation
        params, key = local(self.params), jax.random.fold_in(self._test_key, self.progress.epoch)
        play_key, loss_key = jax.random.split(key)
        player = Player(self._test_env, self.agent.actor_critic, c.epsilon, play_key)
        result = play_games(player, params["actor_critic"], num_games, c.num_steps_replay)
        statistics = summarize_games(result.games)
        self._write("test", statistics)
        mean, std = statistics["return_mean"], statistics["return_std"]
        line = f"test, epoch {self.progress.epoch}: return {mean:.2f} ± {std:.2f}"
        if not self.config.training.model_free:
            losses = summarize_updates(
                jax.device_get(world_model_test(params, result.replay, loss_key, self.agent, self.config))
            )
            self._write("test_world_model", losses)
            error, baseline = losses["pixel_error"], losses["pixel_error_repeat_last"]
            line += f"; pixel error {error:.2f} of 255, repeating the last frame {baseline:.2f}"
        self.say(line)
        return result

    @functools.cached_property
    def _test_env(self) -> VectorEnv:
        return make_environments(self.config, self.config.evaluation.num_envs, 2 * self.config.seed + 1, training=False)

    @functools.cached_property
    def _real_environment(self) -> RealEnvironment:
        return RealEnvironment(self._train_env, self.agent)

    def close(self) -> None:
        """Ends environments, checkpointing and logging."""
        self._train_env.close()
        self.checkpoints.close()
        self.log.close()

    def _advance(self, **counters: int) -> None:
        now = time.perf_counter()
        wall_time, self._since = self.progress.wall_time + now - self._since, now
        self.progress = self.progress._replace(wall_time=wall_time, **counters)

    def _write(self, group: str, values: dict[str, float]) -> None:
        if values:
            self.log.write(self.progress, self.updates, group, values)

    def _bar(self, description: str, total: int, unit: str) -> tqdm:
        return tqdm(
            total=total, desc=f"epoch {self.progress.epoch} {description}", unit=unit, leave=False, disable=None
        )

    def _refuse_not_finite(self, network: str, scalars: dict[str, float]) -> None:
        bad = not_finite(scalars)
        if bad:
            raise NotFiniteError(
                f"{', '.join(bad)} of the {network} not finite in epoch {self.progress.epoch}, "
                f"after {self.updates} updates; {self.workdir}/checkpoints holds the last good state"
            )

    def _epoch_line(self) -> str:
        left = self.seconds_left()
        return (
            f"epoch {self.progress.epoch}: {self.progress.env_steps} steps, "
            f"updates {self.updates[0]} + {self.updates[1]}, "
            f"{_clock(self.progress.wall_time)} so far, about {_clock(left)} left"
        )

    def seconds_left(self) -> float:
        """The updates still to come at the pace of the latest ones; collection and tests are not counted."""
        epochs = range(self.progress.epoch + 1, self.progress.epoch + 1 + self._epochs_left())
        return sum(
            program.seconds_per_update * updates_in_epoch(getattr(self.config, network).training, epoch)
            for network, program in self.programs.items()
            for epoch in epochs
        )

    def _epochs_left(self) -> int:
        c, p = self.config, self.progress
        collecting = -(-max(0, c.collection.num_steps_total - p.env_steps) // c.collection.steps_per_epoch)
        return collecting + c.training.num_final_epochs - p.final_epochs


def updates_in_epoch(schedule: Schedule, epoch: int) -> int:
    """Updates of one network in epoch 1, 2, ..."""
    if epoch <= schedule.start_after_epochs:
        return 0
    return schedule.steps_first_epoch if epoch == schedule.start_after_epochs + 1 else schedule.steps_per_epoch


def _clock(seconds: float) -> str:
    minutes = int(np.ceil(seconds / 60))
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
