"""One visitor's play: messages in, pictures and answers out. It knows nothing of servers, threads or time."""

import functools
from collections.abc import Callable
from typing import Any

import jax

from edeline_jax.dataset.episodes import Episode
from edeline_jax.envs import env_seed
from edeline_jax.play.dream import POLICY, Temperatures
from edeline_jax.play.messages import MOST_STEPS_DENOISING, Message, MessageError
from edeline_jax.play.moment import Moment, difference, dream_begins, dreamt, game_begins, happened
from edeline_jax.play.packing import file_kinds, pack
from edeline_jax.play.picture import encode
from edeline_jax.play.programs import Sampler
from edeline_jax.play.real_game import RealGame
from edeline_jax.play.recorder import Recorder
from edeline_jax.play.stage import Stage
from edeline_jax.play.start import Start, still

PURPOSE = 3  # of these games, as a part of their seeds: 0 to 2 are those of training, tests and exams
HORIZON, PACE = 50, 15  # steps, and steps per second: an Atari game with a frame skip of 4
CHURNS = (0.0, 0.5, 1.0, 2.0, 4.0)  # beside the config's
Answer = bytes | Callable[[], bytes]  # a message to the page, or how to make one that takes long, in any thread


class Picture(bytes):
    """A message that the next one makes superfluous."""


class Session:
    """A dream, a real game, or both from the same start with the same actions.

    pace: steps per second that the visitor wishes.
    """

    def __init__(self, stage: Stage, seed: int):
        self.pace = PACE
        self._stage = stage
        self._seed = seed
        self._key = jax.random.key(seed)
        self._draws = 0  # of this key
        self._world, self._driver, self._paused = "dream", "you", False
        self._horizon: int | None = HORIZON
        self._sampler = self._wish = stage.programs.sampler
        self._temperatures = Temperatures()
        self._strip = False
        self._held: int | None = None  # the action whose keys are down
        self._pressed: int | None = None  # the last one that went down since the last step
        self._number = 0  # of the start
        self._chosen: Start | None = None  # by the visitor, in place of the numbered one
        self._game: RealGame | None = None
        self._recorder = Recorder(stage.config.frame_shape, len(stage.actions))
        self._moments: dict[str, Moment] = {}  # by world
        self._begins = True  # at the next tick
        self._steps_asked = 0
        self._is_stale = False  # a setting has changed since the last picture

    def hello(self) -> bytes:
        """What the page needs to know before the first picture."""
        stage = self._stage
        return encode(
            {
                "kind": "hello",
                "title": stage.config.env.id if stage.config.has_env else stage.library.source,
                "actions": [action._asdict() for action in stage.actions],
                "worlds": ["dream", "real", "both"] if stage.config.has_env else ["dream"],
                "episodes": [
                    {"steps": len(episode.actions), "reward": float(episode.rewards.sum())}
                    for episode in stage.library.episodes
                ],
                "source": stage.library.source,
                "most_steps": MOST_STEPS_DENOISING,
                "churns": self._churns(),
                "files": file_kinds(),
            }
        )

    def receive(self, message: Message) -> list[Answer]:
        """Takes a message; returns answers other than the picture, which comes with the next `tick`.

        Raises:
          MessageError: there is no such action, episode or step here.
        """
        self._is_stale = True
        return getattr(self, f"_on_{message.kind}")(**message.values) or []

    def upload(self, png: bytes) -> list[Answer]:
        """Dreams on from a picture."""
        config = self._stage.config
        try:
            self._chosen = still(png, config.context, config.env.size, self._stage.idle or 0)
        except ValueError as error:
            return [encode({"kind": "note", "text": str(error)})]
        return self._dream_from_here()

    def tick(self) -> list[Answer]:
        """One step, if it is time for one: the picture and, at a start, what comes with it. Empty: nothing new."""
        self._take_up_sampler()
        is_over = any(moment.is_over for moment in self._moments.values())
        if self._begins or (is_over and self._may_step()):
            self._number += not self._begins and self._chosen is None  # after an end, the next start
            return self._begin()
        if self._may_step():
            self._step()
        elif not self._is_stale:
            return []
        return [self._picture()]

    def close(self) -> None:
        """Ends the real game."""
        if self._game is not None:
            self._game.close()
            self._game = None

    # --- time ---

    def _may_step(self) -> bool:
        """Whether nothing is waited for: neither the end of a pause nor, where no action does nothing, a key."""
        if self._steps_asked:
            return True
        acts = self._driver == "policy" or self._stage.idle is not None
        return not self._paused and (acts or self._pressed is not None or self._held is not None)

    def _begin(self) -> list[Answer]:
        stage, lives_end = self._stage, self._stage.config.env.done_on_life_loss and self._world == "both"
        self.close()
        self._recorder.cut()
        self._begins, self._steps_asked, self._pressed = False, 0, None
        if self._world == "dream":
            start = self._chosen or stage.library.start(*stage.library.place(self._number))
        else:
            self._game = stage.real_game(env_seed(self._seed, PURPOSE, self._number % 2**31) >> 1, lives_end)
            start = self._game.start._replace(label=f"real game {self._number}")
        self._moments = {}
        if self._world != "real":
            self._dream, opinion = stage.programs.begin(start, self._next_key())
            self._moments["dream"] = dream_begins(start.frames[-1], jax.device_get(opinion))
        if self._game is not None:
            self._moments["real"] = game_begins(self._game)
        return [encode({"kind": "start", "label": start.label}, {"start": start.frames[-1]}), self._picture()]

    def _step(self) -> None:
        before, action = self._moments, self._action()
        self._pressed, self._steps_asked = None, max(0, self._steps_asked - 1)
        self._moments = {}
        if "dream" in before:
            play = self._stage.programs.wait(self._sampler)
            self._dream, glance = play(self._dream, action, self._next_key(), self._temperatures)
            self._moments["dream"] = dreamt(before["dream"], jax.device_get(glance), self._horizon)
        if "real" in before:
            self._moments["real"] = happened(before["real"], action, self._game.step(action), self._game)
        self._recorder.add(before, self._moments)

    def _action(self) -> int:
        if self._driver == "policy":
            return POLICY if self._game is None else self._game.choice  # side by side, the real game counts
        pressed = self._held if self._pressed is None else self._pressed
        return (self._stage.idle or 0) if pressed is None else pressed

    def _take_up_sampler(self) -> None:
        if self._wish != self._sampler and self._stage.programs.find(self._wish) is not None:
            self._sampler, self._is_stale = self._wish, True

    def _next_key(self) -> jax.Array:
        self._draws += 1
        return jax.random.fold_in(self._key, self._draws - 1)

    # --- what is shown ---

    def _picture(self) -> Picture:
        self._is_stale = False
        moments = self._moments
        figures = {"kind": "picture", **{world: moment.figures() for world, moment in moments.items()}}
        images = {world: moment.frame for world, moment in moments.items()}
        if len(moments) == 2:
            figures["difference"] = difference(*moments.values())
        if self._strip and "dream" in moments and (glance := moments["dream"].glance) is not None:
            images |= {f"noise{i}": image for i, image in enumerate(glance.trajectory)}
        return Picture(encode({**figures, "settings": self._settings()}, images))

    def _settings(self) -> dict[str, Any]:
        compiling = self._wish != self._sampler
        return {
            "world": self._world,
            "driver": self._driver,
            "paused": self._paused,
            "horizon": self._horizon,
            "pace": self.pace,
            "sampler": self._wish._asdict(),
            "temperature": self._temperatures._asdict(),
            "strip": self._strip,
            "recording": self._recorder.is_on,
            "recorded": self._recorder.num_steps,
            "note": f"compiling {self._wish.words} ..." if compiling else "",
        }

    # --- messages ---

    def _on_act(self, action: int | None) -> None:
        if action is not None and action >= len(self._stage.actions):
            raise MessageError(f"act: the game has {len(self._stage.actions)} actions")
        self._held = action
        self._pressed = self._pressed if action is None else action

    def _on_world(self, world: str) -> list[Answer] | None:
        if world != "dream" and not self._stage.config.has_env:
            return [encode({"kind": "note", "text": "this agent has no real game"})]
        if world != self._world:
            self._world, self._chosen, self._begins = world, None, True
        return None

    def _on_driver(self, driver: str) -> None:
        self._driver = driver

    def _on_pause(self, paused: bool) -> None:
        self._paused, self._steps_asked = paused, 0

    def _on_step(self) -> None:
        self._paused = True
        self._steps_asked = min(self._steps_asked + 1, 2)

    def _on_reset(self) -> None:
        self._begins = True

    def _on_next(self, by: int) -> None:
        self._number += by
        self._chosen, self._begins = None, True

    def _on_horizon(self, horizon: int | None) -> None:
        self._horizon = horizon

    def _on_sampler(self, steps: int, order: int, churn: float) -> None:
        if churn not in self._churns():
            raise MessageError(f"sampler: churn is one of {', '.join(f'{x:g}' for x in self._churns())}")
        self._wish = Sampler(steps, order, float(churn))

    def _on_temperature(self, reward: float, end: float) -> None:
        self._temperatures = Temperatures(reward, end)

    def _on_pace(self, pace: int) -> None:
        self.pace = pace

    def _on_strip(self, shown: bool) -> None:
        self._strip = shown

    def _on_look(self, episode: int, step: int) -> list[Answer]:
        recorded = self._recorded(episode, step)
        figures = {
            "kind": "look",
            "episode": episode,
            "step": step,
            "action": int(recorded.actions[step]),
            "reward": float(recorded.rewards[step]),
            "end": bool(recorded.ends[step]),
        }
        return [encode(figures, {"look": recorded.frames[step]})]

    def _on_start(self, episode: int, step: int) -> list[Answer]:
        self._recorded(episode, step)
        self._chosen = self._stage.library.start(episode, step)
        return self._dream_from_here()

    def _on_record(self, on: bool) -> None:
        self._recorder.turn(on)

    def _on_download(self, file: str) -> list[Answer]:
        if not self._recorder.num_steps:
            return [encode({"kind": "note", "text": "nothing is recorded yet: press r, play, and press r again"})]
        return [functools.partial(pack, file, self._recorder.copy())]

    def _churns(self) -> list[float]:
        """Those on offer: each is a program of its own."""
        return sorted({*CHURNS, self._stage.programs.sampler.churn})

    def _recorded(self, episode: int, step: int) -> Episode:
        """The episode, if it has this step."""
        episodes = self._stage.library.episodes
        if episode >= len(episodes) or step >= len(episodes[episode].actions):
            raise MessageError("no such step is recorded")
        return episodes[episode]

    def _dream_from_here(self) -> list[Answer]:
        self._world, self._begins = "dream", True
        return []
