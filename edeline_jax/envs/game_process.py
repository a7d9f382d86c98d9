"""A game in a process of its own, which does not outlive the run."""

import atexit
import contextlib
import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from edeline_jax.envs.game import Game, GameError, Moment, account

PR_SET_PDEATHSIG = 1  # of linux/prctl.h
SECONDS_TO_END = 5.0


class GameProcess:
    """A `Game` that is played in another process; an error there is raised here, as GameError."""

    def __init__(self, make_game: Callable[[int], Game], seed: int) -> None:
        """Starts the process, which goes on to make the game in the background."""
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of JAX's threads
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_play, args=(theirs, os.getpid(), make_game, seed), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self._num_actions: int | None = None
        atexit.register(self.close)  # multiprocessing would send SIGTERM and wait

    @property
    def num_actions(self) -> int:
        """See `Game`; waits until the game is made."""
        if self._num_actions is None:
            self._num_actions = self._answer()
        return self._num_actions

    def reset(self) -> np.ndarray:
        """See `Game`."""
        return self._ask("reset")

    def step(self, action: int) -> Moment:
        """See `Game`."""
        return self._ask("step", action)

    def close(self) -> None:
        """See `Game`."""
        atexit.unregister(self.close)
        self._pipe.close()  # which the process takes as the end
        self._process.join(SECONDS_TO_END)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _ask(self, method: str, *arguments: Any) -> Any:
        _ = self.num_actions
        with contextlib.suppress(OSError):  # it has ended: its last answer may still be there, or there is none
            self._pipe.send((method, arguments))
        return self._answer()

    def _answer(self) -> Any:
        try:
            answer, failure = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._process.join(SECONDS_TO_END)
            raise GameError(f"its process ended with status {self._process.exitcode}") from error
        if failure:
            raise GameError(failure)
        return answer


def _play(pipe: Connection, parent: int, make_game: Callable[[int], Game], seed: int) -> None:
    """Makes a game and plays what the pipe asks for: (method, arguments) -> (result, failure in words)."""
    os.setsid()  # Ctrl-C in the run's terminal is not for this process: the run saves first
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # nor is a scheduler's signal to all processes of a job
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has died in the meantime
        return
    game, failure = _attempt(make_game, seed)
    with contextlib.suppress(EOFError, OSError):  # the run has closed the pipe
        pipe.send((None if failure else game.num_actions, failure))
        while not failure:
            method, arguments = pipe.recv()
            answer, failure = _attempt(getattr(game, method), *arguments)
            pipe.send((answer, failure))
    if game is not None:
        game.close()


def _attempt(call: Callable, *arguments: Any) -> tuple[Any, str]:
    try:
        return call(*arguments), ""
    except Exception as error:  # a game may raise anything
        return None, account(error)
