"""A run: collect, train, test, save, epoch after epoch (EDELINE, algorithm 1 and appendix)."""

import contextlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from etils.epath import Path

from edeline_jax.acting.collection import Collector
from edeline_jax.acting.recorded import hold_out, open_static_dataset
from edeline_jax.acting.scoreboard import Game, summarize_games
from edeline_jax.agent.networks import build_agent
from edeline_jax.config import Config
from edeline_jax.dataset.episodes import Dataset
from edeline_jax.envs import count_actions, measures
from edeline_jax.evaluation.tester import Evaluation, GameTester, RecordedTester, Tester
from edeline_jax.learning.not_finite import NotFiniteError, keep_batch
from edeline_jax.learning.programs import Program, build_programs
from edeline_jax.learning.scalars import not_finite, summarize_updates
from edeline_jax.learning.setup import make_setup
from edeline_jax.replay.host import on_one_device
from edeline_jax.report.curves import draw_curves
from edeline_jax.report.page.run_page import write_run_page
from edeline_jax.report.runs import Row, find_runs, read_rows
from edeline_jax.runtime import cluster
from edeline_jax.runtime.devices import AXIS, local, make_mesh
from edeline_jax.runtime.interruption import Interrupted, Interruption
from edeline_jax.runtime.memory import peak_memory
from edeline_jax.runtime.stopwatch import Stopwatch
from edeline_jax.training.dream import draw_dream
from edeline_jax.training.meter import Meter, losses_of
from edeline_jax.training.model_free import ModelFreeProgram
from edeline_jax.training.narration import epoch_line, introduction, resumption, seconds_left, sizes, test_line
from edeline_jax.training.start import start
from edeline_jax.workdir.metrics import MetricsLog
from edeline_jax.workdir.opening import Workdir

Say = Callable[[str], None]
PROFILED_UPDATES = 3
SECONDS_BETWEEN_PICTURES = 300.0


class Run:
    """One run in one folder.

    Only `state`, `replay` and `progress` change. Checkpoints hold state and progress, the journal holds the replay.
    """

    def __init__(self, config: Config, workdir: Workdir, interruption: Interruption, say: Say, profiles: bool = False):
        """`profiles`: write a profiler trace of a few updates of each network into the folder."""
        self.config = config
        self.folder = workdir.folder
        self.say = say
        self._check_lock = workdir.check_lock
        self._interruption = interruption
        self._profiles = profiles
        self.mesh = make_mesh()
        for line in introduction(config, self.folder.path, self.mesh):
            say(line)
        state_key, collect_key, test_key = jax.random.split(jax.random.key(config.seed), 3)
        dataset, self._held_out = self._recorded()
        self.agent = build_agent(config, dataset.num_actions if dataset else count_actions(config.env))
        self.programs = self._build_programs()
        begin = start(self.agent, config, self.mesh, self.folder, dataset, state_key)
        self.state, self.replay, self.progress = begin.state, begin.replay, begin.progress
        self.resumed, self.checkpoints, keeper = begin.resumed, begin.checkpoints, begin.keeper
        self._newest_agent = begin.agent
        self._collector = None if keeper is None else Collector(config, self.agent, keeper, collect_key)
        self._tester = self._build_tester(test_key)
        self._saved = self._place if self.resumed else None
        self._saved_at = self._drawn_at = time.perf_counter()
        self._announced: set[str] = set()
        self._paces: dict[str, float] = {}  # seconds per update, step and game
        self._log = self._open_log() if cluster.is_main() else None
        self._since = time.perf_counter()
        self._watch = Stopwatch()

    def _open_log(self) -> MetricsLog:
        """The log goes on from the checkpoint: the run writes again what came after it."""
        there = self.config.tensorboard and self.folder.metrics.exists()
        history: list[Row] = read_rows(self.folder.metrics, self.progress.wall_time) if there else []
        return MetricsLog(self.folder.path, self.config, self.progress, history)

    def _build_programs(self) -> dict[str, Program]:
        if self.config.training.model_free:
            return {"actor_critic": ModelFreeProgram(self.agent, self.config, self.mesh)}
        return build_programs(self.agent, self.config, self.mesh)

    def _recorded(self) -> tuple[Dataset | None, Dataset | None]:
        """The episodes of a static dataset to train on, and those to test on if there is no game to test in."""
        if not self.config.collection.path_to_static_dataset:
            return None, None
        dataset = open_static_dataset(self.config, self.mesh.size)
        if self.config.has_env:
            return dataset, None
        train, test = hold_out(dataset, self.config.evaluation.held_out_share, self.mesh.size)
        return train, test if test.entries else None

    def _build_tester(self, key: jax.Array) -> Tester | None:
        if self.config.has_env:
            return GameTester(self.config, self.agent, key)
        return self._held_out and RecordedTester(self.config, self.agent, self._held_out, key, self.folder.on_disk)

    def introduce(self) -> None:
        """Prints how large everything is, and where a resumed run continues."""
        for line in sizes(self.state.params, self.replay, self._held_out):
            self.say(line)
        if self.resumed:
            self.say(resumption(self.progress, self.updates))
        elif self._newest_agent is not None:
            self.say(f"no checkpoint: begins with the weights of {self._newest_agent}")

    @property
    def updates(self) -> tuple[int, int]:
        """The updates done so far of world model and actor-critic."""
        return int(self.state.world_model.updates), int(self.state.actor_critic.updates)

    @property
    def _place(self) -> tuple:
        return self.progress._replace(wall_time=0.0), self.updates

    def train(self) -> None:
        """Runs epochs until the schedule is finished; none if the config only asks for an evaluation.

        Raises:
          Interrupted: the run was asked to end; `save` keeps what was done.
          NotFiniteError: a loss or gradient became NaN or infinite; the last checkpoint stays the newest.
        """
        while self.config.training.should and not self.progress.schedule_is_through(self.config):
            self._epoch()

    def _epoch(self) -> None:
        self._watch.lap()
        self._check_lock()
        if not self.progress.epoch_is_open:
            self.progress = self.progress.begin_epoch(self.config, self.updates)
        self._compile()  # before anything is collected or learnt that a failure here would cost
        if not (self.progress.epoch_has_collected or self.config.training.model_free):
            with self._watch.phase("collect"):
                self._collect()
        for network in self.programs:
            self._train(network)
        with self._watch.phase("save"):  # the last epoch's save: at most one finished epoch is not on the disk
            self.checkpoints.wait()
        self._paces |= {name: program.pace.seconds_per_update for name, program in self.programs.items()}
        self.say(epoch_line(self.progress, self.updates, seconds_left(self.config, self.progress, self._paces)))
        if self.progress.epoch % self.config.evaluation.every == 0:
            with self._watch.phase("save"):  # a test that fails must not cost the epoch
                self.save()
            with self._watch.phase("test"):
                self.test(self.config.evaluation.num_episodes)
        self._advance(epoch_is_open=False)
        with self._watch.phase("save"):
            self._save_what_is_due()
        self._advance()
        self._write("seconds", self._watch.lap())
        self._write("memory", peak_memory())

    def _save_what_is_due(self) -> None:
        c = self.config.checkpointing
        last = self.progress.schedule_is_through(self.config)
        agent_is_due = self.progress.epoch % c.save_agent_every == 0 or last
        if self.progress.epoch % c.save_state_every == 0 or agent_is_due:
            self.save()
        if agent_is_due:  # after the state: alone, it would begin a run
            self.checkpoints.save_agent(self.state.params, self.progress.epoch)

    def save(self) -> None:
        """Begins to save the full state, unless it has not changed since the last save."""
        if self._place != self._saved:
            self._check_lock()
            self._advance()
            if self._log is not None:
                self._log.flush()
            self.checkpoints.save(self.state, self.progress)
            self._saved = self._place
            self._saved_at = time.perf_counter()

    def _save_if_overdue(self) -> None:
        """Saves in a long epoch, in all processes or in none."""
        minutes = (time.perf_counter() - self._saved_at) / 60
        if cluster.any_process(minutes >= self.config.checkpointing.save_every_minutes):
            self.save()

    def _breathe(self) -> None:
        """Called between dispatches; raises Interrupted if any process of the run was asked to end."""
        if cluster.any_process(self._interruption.requested) or self.checkpoints.reached_preemption():
            raise Interrupted

    def _collect(self) -> None:
        c = self.config.collection
        keeper = self._collector.keeper
        begin = self.progress.env_steps
        params = local(self.agent.actor_params(self.state.params))
        games = []

        def target() -> int:
            self.progress = self.progress.count_stock(self.config, keeper.minority_rewards)
            return self.progress.collection_target(self.config)

        with self._metered("collect", target() - begin, "step") as meter:
            while (left := target() - self.progress.env_steps) > 0:
                self._breathe()
                self.replay, finished = self._collector.collect(params, self.replay, min(left, c.steps_per_epoch))
                games += finished
                self._advance(replay_step=keeper.step, env_steps=keeper.step * self.config.env.num_envs)
                meter.to(self.progress.env_steps - begin)
                self._paces["step"] = meter.seconds_per_unit
                self._save_if_overdue()
        self._advance(epoch_has_collected=True)
        self._write_games(games)

    def _train(self, network: str) -> None:
        program = self.programs[network]
        left = self._updates_left(network)
        if left <= 0:
            return
        self._breathe()
        games: list[Game] = []
        with self._metered(network, left, "update") as meter:
            if self._profiles and program.pace.num_dispatches == 0:
                games += self._update(network, 1, meter)  # the first one is slower
                with jax.profiler.trace(str(self.folder.profile(network))):
                    games += self._update(network, min(PROFILED_UPDATES, self._updates_left(network)), meter)
                self.say(f"profile of the {network} update in {self.folder.profile(network)}")
            games += self._update(network, self._updates_left(network), meter)
        if program.env_steps_per_update:
            self._write_games(games)

    def _compile(self) -> None:
        """Compiles the programs that are needed and are not yet compiled, side by side."""
        new = [
            name for name, program in self.programs.items() if self._updates_left(name) > 0 and not program.is_compiled
        ]
        if not new:
            return
        self.say(f"compiling the {' and the '.join(new)} update ...")
        first, *others = new
        with self._watch.phase("compile"), ThreadPoolExecutor() as threads:
            beside = {name: threads.submit(self.programs[name].compile, self.state, self.replay) for name in others}
            self.say(f"{first} {self.programs[first].compile(self.state, self.replay)}")
            for name, line in beside.items():
                self.say(f"{name} {line.result()}")

    def _updates_left(self, network: str) -> int:
        return getattr(self.progress, f"{network}_target") - int(getattr(self.state, network).updates)

    def _update(self, network: str, num_updates: int, meter: Meter) -> list[Game]:
        """Runs updates of a network; returns the games that ended in real environments meanwhile."""
        program = self.programs[network]
        games = []
        for dispatch in program.run(self.state, self.replay, num_updates):
            self.state = dispatch.state
            games += dispatch.games
            self._watch.add(network, dispatch.seconds)
            scalars = summarize_updates(dispatch.metrics)
            meter.add(dispatch.num_updates, losses_of(scalars))
            self._refuse_not_finite(network, scalars)
            if program.pace.num_dispatches == 2:  # the first one is slower
                self.say(f"{network}: {program.pace.seconds_per_update * 1e3:.1f} ms per update")
            self._advance(env_steps=self.progress.env_steps + dispatch.num_updates * program.env_steps_per_update)
            self._write(network, {**scalars, "seconds_per_update": program.pace.seconds_per_update})
            self._save_if_overdue()
            self._breathe()
        return games

    def test(self, num_games: int, final: bool = False) -> Evaluation | None:
        """Plays test games; writes and returns their statistics and the world model's losses on them.

        Without a game the world model is tested on held-out episodes. Returns None if there are none either.
        """
        if self._tester is None:
            return None
        self._announce("test")
        # processes do not test in lockstep, so only a single-process run can stop in the middle of a test
        breathe = self._breathe if jax.process_count() == 1 else lambda: None
        with self._metered("test", num_games, "game") as meter:

            def between(played: int) -> None:
                breathe()
                meter.to(played)

            result = self._tester.test(local(self.state.params), self.progress, num_games, between)
            meter.to(num_games)
            self._paces["game"] = meter.seconds_per_unit
        statistics = summarize_games(result.games, self.config.env.id)
        self._write("test", statistics)
        self._write("test_world_model", result.losses)
        self.say(test_line(self.progress, statistics, result.losses, final))
        if not final and cluster.is_main() and time.perf_counter() - self._drawn_at >= SECONDS_BETWEEN_PICTURES:
            self.draw(result)
            self.write_page()
        return result

    def draw(self, test: Evaluation | None) -> list[Path]:
        """Draws the pictures of the report, as far as the run is; returns their paths.

        The films show a test game or a held-out episode; if there is neither, the training replay.
        """
        self.folder.report.mkdir(exist_ok=True)
        pictures = draw_curves(self.folder.metrics, self.folder.report)
        if not self.config.training.model_free:
            self._announce("film")
            shown = self.config.evaluation.num_steps_replay
            replay = on_one_device(self.replay, shown) if test is None else test.replay
            setup = make_setup(self.agent, self.config)
            params = local(self.state.world_model.params)
            films = draw_dream(self.folder.report, params, replay, self.progress, self.config.seed, setup)
            if not films:
                self.say(
                    f"no film: no episode there is longer than the {self.config.context} frames that imagination "
                    "begins with"
                )
            pictures += films
        if self._log is not None:
            shown = [path for path in pictures if path.suffix in (".png", ".gif")]
            self._log.show(self.progress, self.updates, shown)
        self._drawn_at = time.perf_counter()
        return pictures

    def write_page(self) -> None:
        """Writes the report as one HTML file, as far as the run is."""
        self._log.flush()  # a bucket does not have the newest lines yet
        for run in find_runs([self.folder.path], self.say):
            write_run_page(run, self.folder.page)

    def _announce(self, what: str) -> None:
        """Says once that the next thing compiles its programs first."""
        if what not in self._announced:
            self.say(f"compiling the {what} ...")
        self._announced.add(what)

    def close(self) -> None:
        """Waits for running saves and closes the log."""
        self.checkpoints.close()
        if self._log is not None:
            self._log.close()

    def _advance(self, **counters: int) -> None:
        now = time.perf_counter()
        wall_time, self._since = self.progress.wall_time + now - self._since, now
        self.progress = self.progress._replace(wall_time=wall_time, **counters)

    def _write(self, group: str, values: dict[str, float]) -> None:
        if values and self._log is not None:
            self._log.write(self.progress, self.updates, group, values)

    def _write_games(self, games: Iterable[Game]) -> None:
        """Writes statistics of the games that ended in this epoch in the environments of all processes."""
        id = self.config.env.id
        own = np.array([(game.score, game.length, *game.measures) for game in games])
        rows = cluster.gather_rows(own.reshape(-1, 2 + len(measures(id)))).tolist()
        everywhere = [Game(score, length, tuple(row)) for score, length, *row in rows]
        self._write("collect", summarize_games(everywhere, id))

    def _metered(self, description: str, total: int, unit: str) -> contextlib.AbstractContextManager[Meter]:
        name = f"epoch {self.progress.epoch} {description}"
        return contextlib.closing(Meter(name, total, unit, self.say, cluster.is_main()))

    def _refuse_not_finite(self, network: str, scalars: dict[str, float]) -> None:
        bad = not_finite(scalars)
        if bad:
            number = int(getattr(self.state, network).updates)
            path = self.folder.not_finite(network, number)
            setup = make_setup(self.agent, self.config, AXIS)
            keep_batch(path, network, self.state, self.replay, setup, self.mesh)
            newest = self.checkpoints.newest
            saved = f"{newest} holds the last good state" if newest else "none was saved"
            raise NotFiniteError(
                f"{', '.join(bad)} of the {network} not finite in update {number}, epoch {self.progress.epoch}; "
                f"its batch is in {path}; {saved}"
            )
