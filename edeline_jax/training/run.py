"""A run: collect, train, test, save, epoch after epoch (EDELINE, algorithm 1 and appendix).

Order of a start, first or resumed:
  1. mesh, networks and abstract state from the config alone; what cannot fit into memory is refused;
  2. the newest readable checkpoint into that abstract state; without one a fresh state, with the weights that
     `initialization` names;
  3. the replay: from the journal up to where the checkpoint stands, or from the static dataset;
  4. environments, which always begin with new games: the episodes that were open are cut off where they stand;
  5. the epoch that was open goes on where it stood, then the others follow.
"""

import functools
import time
from collections.abc import Callable

import jax
import numpy as np
from tqdm import tqdm

from edeline_jax.acting.collection import ReplayKeeper, collect, empty_replay
from edeline_jax.acting.player import Player
from edeline_jax.acting.recorded import load_replay, open_static_dataset, replay_shapes
from edeline_jax.acting.scoreboard import Game, summarize_games
from edeline_jax.agent.initialization import with_initial_weights
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import Config, to_dict
from edeline_jax.dataset.journal import Journal
from edeline_jax.envs import VectorEnv, count_actions, make_env
from edeline_jax.evaluation.games import Test, play_games, world_model_test
from edeline_jax.learning.not_finite import NotFiniteError, keep_batch
from edeline_jax.learning.programs import build_programs
from edeline_jax.learning.scalars import not_finite, summarize_updates
from edeline_jax.learning.state import STATE_SPEC, TrainState, init_state
from edeline_jax.nn.params import Params
from edeline_jax.replay.buffer import Replay
from edeline_jax.runtime import cluster
from edeline_jax.runtime.capacity import check_capacity
from edeline_jax.runtime.devices import abstract, local, make_mesh, shardings
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.interruption import Interrupted, Interruption
from edeline_jax.runtime.stopwatch import Stopwatch
from edeline_jax.training.model_free import RealEnvironment, Update, build_update, train_model_free
from edeline_jax.training.narration import epoch_line, introduction, seconds_left
from edeline_jax.workdir.checkpoints import Checkpoints
from edeline_jax.workdir.folder import RunFolder
from edeline_jax.workdir.metrics import MetricsLog
from edeline_jax.workdir.opening import Workdir
from edeline_jax.workdir.progress import Progress

Say = Callable[[str], None]
PROFILED_UPDATES = 3


class Run:
    """One run in one folder.

    `state`, `replay` and `progress` are all that changes; checkpoints hold the first and the last, the journal the
    second.
    """

    def __init__(self, config: Config, workdir: Workdir, interruption: Interruption, say: Say, profiles: bool = False):
        """`profiles`: leave a trace of a few updates of each network in the folder."""
        self.config, self.workdir, self.say = config, workdir.path, say
        self.folder = RunFolder(workdir.path)
        self._check_lock = workdir.check_lock
        self._interruption, self._profiles = interruption, profiles
        self.mesh = make_mesh()
        state_key, self._collect_key, self._test_key = jax.random.split(jax.random.key(config.seed), 3)
        static = bool(config.collection.path_to_static_dataset)
        self.dataset = open_static_dataset(config, self.mesh.size) if static else None
        num_actions = self.dataset.num_actions if static else count_actions(config.env)
        self.agent = build_agent(config, num_actions)
        self.programs = build_programs(self.agent, config, self.mesh)
        self._begin(state_key)
        self.log = MetricsLog(workdir.path, config.wandb, to_dict(config)) if cluster.is_main() else None
        self._since, self._watch = time.perf_counter(), Stopwatch()

    def _begin(self, key: jax.Array) -> None:
        init = functools.partial(init_state, self.agent, self.config)
        shapes = jax.eval_shape(init, key)
        check_capacity(shapes, self._replay_shapes(), self.mesh)
        self.checkpoints = Checkpoints(self.workdir, self.config.checkpointing)
        restored = self.checkpoints.restore(abstract(self.mesh, STATE_SPEC, shapes))
        self.resumed = restored is not None
        self.state, self.progress = restored or (self._fresh_state(init, key, shapes), Progress())
        self._saved = self._place if self.resumed else None
        self.replay = self._load_replay()

    def _fresh_state(self, init: Callable, key: jax.Array, shapes: TrainState) -> TrainState:
        state = jax.jit(init, out_shardings=shardings(self.mesh, STATE_SPEC, shapes))(key)
        return state.with_params(with_initial_weights(state.params, self.config))

    def _replay_shapes(self) -> Replay:
        if self.dataset is not None:
            return replay_shapes(self.dataset, self.mesh.size)
        return jax.eval_shape(lambda: empty_replay(self.config, self.mesh))

    def _load_replay(self) -> Replay:
        if self.dataset is not None:
            return load_replay(self.dataset, self.mesh)
        replay = self._keeper.restore(empty_replay(self.config, self.mesh), self.progress.replay_step)
        if self.progress.replay_step and not int(local(replay.num_episodes)[0]):
            raise UserError(f"{self.folder.replay}: none of its files can be read; choose another --workdir")
        return replay

    @functools.cached_property
    def _keeper(self) -> ReplayKeeper:
        env = self.config.env
        journal = Journal(self.folder.replay, env.num_envs, self.config.frame_shape)
        return ReplayKeeper(self.config, self.mesh, journal)

    @functools.cached_property
    def _train_env(self) -> VectorEnv:
        # neither a resumed run nor another process plays the games of the first start again
        env, stream = self.config.env, (0, self.progress.env_steps, jax.process_index())
        return make_env(env, cluster.share(env.num_envs), self._seed(*stream), env.done_on_life_loss)

    @functools.cached_property
    def _test_env(self) -> VectorEnv:
        seed = self._seed(1, self.progress.env_steps)
        return make_env(self.config.env, self.config.evaluation.num_envs, seed, lives_end=False)

    def _seed(self, *stream: int) -> int:
        """Tells apart the environments of one run: other numbers give other games."""
        return int(np.random.SeedSequence((self.config.seed, *stream)).generate_state(1)[0])

    @functools.cached_property
    def _player(self) -> Player:
        key = jax.random.fold_in(self._collect_key, self.progress.env_steps)
        key = jax.random.fold_in(key, jax.process_index())
        return Player(self._train_env, self.agent.actor_critic, self.config.collection.epsilon, key)

    @functools.cached_property
    def _real_environment(self) -> RealEnvironment:
        return RealEnvironment(self._train_env, self.agent)

    @functools.cached_property
    def _model_free_update(self) -> Update:
        return build_update(self.agent, self.config, self.mesh)

    def introduce(self) -> None:
        """Says what runs, on what, and where from."""
        for line in introduction(self.config, self.workdir, self.mesh, self.params, self.replay):
            self.say(line)
        if self.resumed:
            where = "in" if self.progress.epoch_is_open else "after"
            self.say(
                f"resumed {where} epoch {self.progress.epoch}, {self.progress.env_steps} steps, updates {self.updates}"
            )

    @property
    def params(self) -> Params:
        """The weights of both networks, on the mesh."""
        return self.state.params

    @property
    def updates(self) -> tuple[int, int]:
        """Updates done so far of world model and actor-critic."""
        return int(self.state.world_model.updates), int(self.state.actor_critic.updates)

    @property
    def _place(self) -> tuple:
        return self.progress._replace(wall_time=0.0), self.updates

    def train(self) -> None:
        """Runs epochs until the schedule is through; none where the config only wants an evaluation.

        Raises:
          Interrupted: somebody asked the run to end; `save` keeps what was done.
          NotFiniteError: a loss or gradient became NaN or infinite; the last checkpoint stays the newest.
        """
        while self.config.training.should and not self.progress.schedule_is_through(self.config):
            self._epoch()

    def _epoch(self) -> None:
        self._watch.lap()
        self._check_lock()
        if not self.progress.epoch_is_open:
            self.progress = self.progress.begin_epoch(self.config, self.updates)
        if self.config.training.model_free:
            self._train_model_free()
        else:
            if not self.progress.epoch_has_collected:
                with self._watch.phase("collect"):
                    self._collect()
            for network in ("world_model", "actor_critic"):
                self._train(network)
        with self._watch.phase("save"):  # of the epoch before: at most one finished epoch is not on the disk
            self.checkpoints.wait()
        paces = {name: program.seconds_per_update for name, program in self.programs.items()}
        self.say(epoch_line(self.progress, self.updates, seconds_left(self.config, self.progress, paces)))
        if self.progress.epoch % self.config.evaluation.every == 0:
            with self._watch.phase("test"):
                self.test(self.config.evaluation.num_episodes)
        self._advance(epoch_is_open=False)
        if self.log is not None:
            self.log.flush()
        with self._watch.phase("save"):
            self._save_what_is_due()
        self._write("seconds", self._watch.lap())

    def _save_what_is_due(self) -> None:
        c, last = self.config.checkpointing, self.progress.schedule_is_through(self.config)
        if self.progress.epoch % c.save_agent_every == 0 or last:
            self.checkpoints.save_agent(self.params, self.progress.epoch)
        if self.progress.epoch % c.save_state_every == 0 or last:
            self.save()

    def save(self) -> None:
        """Begins to save the full state, unless nothing has changed since the last time."""
        if self._place != self._saved:
            self._check_lock()
            self._advance()
            self.checkpoints.save(self.state, self.progress)
            self._saved = self._place

    def _breathe(self) -> None:
        """Between two dispatches: ends the run if somebody asked any of its processes for it."""
        if cluster.any_process(self._interruption.requested) or self.checkpoints.reached_preemption():
            raise Interrupted

    def _collect(self) -> None:
        c, begin = self.config.collection, self.progress.env_steps
        params, games = local(self.state.actor_critic.params), []
        with self._bar("collect", self._collection_target - begin, "step") as bar:
            while (left := self._collection_target - self.progress.env_steps) > 0:
                self._breathe()
                self.replay, finished = collect(
                    self._player, self._keeper, params, self.replay, min(left, c.steps_per_epoch)
                )
                games += finished
                step = self._keeper.step
                self._advance(replay_step=step, env_steps=step * self.config.env.num_envs)
                bar.update(self.progress.env_steps - begin - bar.n)
        self._advance(epoch_has_collected=True)
        self._write_games(games)

    @property
    def _collection_target(self) -> int:
        return self.progress.collection_target(self.config, self._keeper.minority_rewards)

    def _train(self, network: str) -> None:
        num_updates = self._updates_left(network)
        if num_updates <= 0:
            return
        program = self.programs[network]
        if not program.compile_seconds:
            self.say(f"compiling the {network} update ...")
            with self._watch.phase("compile"):
                program.compile(self.state, self.replay)
            plans = f"it plans {program.temporary_bytes / 1e9:.2f} GB beside state and replay"
            self.say(f"compiled in {program.compile_seconds:.0f} s; {plans}")
        self._breathe()
        with self._bar(network, num_updates, "update") as bar:
            if self._profiles and program.num_dispatches == 0:
                self._update(network, 1, bar)  # the first one is slower
                with jax.profiler.trace(str(self.folder.profile(network))):
                    self._update(network, min(PROFILED_UPDATES, self._updates_left(network)), bar)
                self.say(f"profile of the {network} update in {self.folder.profile(network)}")
            self._update(network, self._updates_left(network), bar)

    def _updates_left(self, network: str) -> int:
        return getattr(self.progress, f"{network}_target") - int(getattr(self.state, network).updates)

    def _update(self, network: str, num_updates: int, bar: tqdm) -> None:
        program = self.programs[network]
        for dispatch in program.run(self.state, self.replay, num_updates):
            self.state = dispatch.state
            self._watch.add(network, dispatch.seconds)
            bar.update(dispatch.num_updates)
            scalars = summarize_updates(dispatch.metrics)
            self._refuse_not_finite(network, scalars)
            if program.num_dispatches == 2:  # the first one is slower
                self.say(f"{network}: {program.seconds_per_update * 1e3:.1f} ms per update")
            self._advance()
            self._write(network, {**scalars, "seconds_per_update": program.seconds_per_update})
            self._breathe()

    def _train_model_free(self) -> None:
        env, num_steps = self._real_environment, self.config.actor_critic.loss.backup_every * self.config.env.num_envs
        update = self._model_free_update
        env.games.clear()
        scalars: dict[str, float] = {}
        with self._bar("model-free", self.progress.actor_critic_target - self.updates[1], "update") as bar:
            while self.updates[1] < self.progress.actor_critic_target:
                self._breathe()
                learner, metrics = train_model_free(
                    self.state.actor_critic, env, local(self.state.key), update, self.agent, self.config
                )
                self.state = self.state._replace(actor_critic=learner)
                scalars = summarize_updates(jax.device_get(metrics))
                self._refuse_not_finite("actor_critic", scalars)
                self._advance(env_steps=self.progress.env_steps + num_steps)
                bar.update()
        if scalars:
            self._write("actor_critic", scalars)
        self._write_games(env.games)

    def test(self, num_games: int) -> Test | None:
        """Plays test games, writes their statistics and the world model's losses on them, and returns them.

        Every process plays the same games. Returns None where the config has no environment to play in.
        """
        if not self.config.has_env:
            return None
        c = self.config.evaluation
        params, key = local(self.params), jax.random.fold_in(self._test_key, self.progress.epoch)
        play_key, loss_key = jax.random.split(key)
        player = Player(self._test_env, self.agent.actor_critic, c.epsilon, play_key)
        # processes play at a pace of their own, so only a run of one can stop in the middle of a test
        between = self._breathe if jax.process_count() == 1 else lambda: None
        result = play_games(player, params["actor_critic"], num_games, c.num_steps_replay, between)
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

    def close(self) -> None:
        """Waits for what is being saved, and ends logging."""
        self.checkpoints.close()
        if self.log is not None:
            self.log.close()

    def _advance(self, **counters: int) -> None:
        now = time.perf_counter()
        wall_time, self._since = self.progress.wall_time + now - self._since, now
        self.progress = self.progress._replace(wall_time=wall_time, **counters)

    def _write(self, group: str, values: dict[str, float]) -> None:
        if values and self.log is not None:
            self.log.write(self.progress, self.updates, group, values)

    def _write_games(self, games: list[Game]) -> None:
        """Statistics of what the environments of all processes finished in this epoch."""
        rows = cluster.gather_rows(np.array(games).reshape(-1, len(Game._fields)))
        self._write("collect", summarize_games([Game(*row) for row in rows.tolist()]))

    def _bar(self, description: str, total: int, unit: str) -> tqdm:
        hidden = None if cluster.is_main() else True  # None: where the output is no terminal
        return tqdm(
            total=total, desc=f"epoch {self.progress.epoch} {description}", unit=unit, leave=False, disable=hidden
        )

    def _refuse_not_finite(self, network: str, scalars: dict[str, float]) -> None:
        bad = not_finite(scalars)
        if bad:
            number = int(getattr(self.state, network).updates)
            path = self.folder.not_finite(network, number)
            keep_batch(path, network, self.state, self.replay, self.config, self.mesh)
            newest = self.checkpoints.newest
            saved = f"{newest} holds the last good state" if newest else "none was saved"
            raise NotFiniteError(
                f"{', '.join(bad)} of the {network} not finite in update {number}, epoch {self.progress.epoch}; "
                f"its batch is in {path}; {saved}"
            )
