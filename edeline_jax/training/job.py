"""One start of a run: opens its folder, does what is left to do, and leaves everything saved."""

from collections.abc import Callable, Collection

import jax

from edeline_jax.config import Config
from edeline_jax.envs.game import GameError
from edeline_jax.runtime import cluster, command_line, memory
from edeline_jax.runtime.errors import UserError, one_line
from edeline_jax.runtime.files import in_bucket
from edeline_jax.runtime.interruption import Interrupted, Interruption
from edeline_jax.training.run import Run
from edeline_jax.training.summary import finish, is_finished
from edeline_jax.workdir.opening import open_shared_workdir
from edeline_jax.workdir.starts import record_start

LESS_MEMORY = (
    "what was saved is intact. Lower world_model.training.batch_size or actor_critic.training.batch_size, perhaps with "
    "more grad_acc_steps, or evaluation.num_envs, or collection.num_steps_total, "
    "or keep the replay on the host: replay.placement=host"
)


def train(
    config: Config,
    workdir: str,
    allowed: Collection[str],
    interruption: Interruption,
    say: Callable[[str], None],
    profiles: bool = False,
) -> None:
    """Starts or resumes the run in `workdir`, until it is finished or asked to end.

    Args:
      config: of the run.
      workdir: its folder; see `open_workdir` for this and `allowed`.
      allowed: keys that may differ from the config in the folder.
      interruption: asks the run to end.
      say: called with every line for the user.
      profiles: whether to leave a profiler trace of a few updates.

    Raises:
      UserError: something that the user can mend; what was saved before is intact.
    """
    opened = open_shared_workdir(workdir, config, allowed, say)
    try:
        if profiles and in_bucket(opened.path):
            raise UserError(f"--profile: {opened.path} is in a bucket; profiles need a --workdir on a disk")
        if is_finished(opened.path, config):
            say(f"{opened.path} holds a finished run: nothing to do")
        else:
            with memory.explained(LESS_MEMORY):
                run = Run(config, opened, interruption, say, profiles)
            opened.keep_config()
            if cluster.is_main():
                record_start(opened.folder, run.mesh.devices.ravel(), run.progress.env_steps)
            _carry_on(run)
    except GameError as error:
        raise UserError(f"{error}; what was saved is intact") from error
    finally:
        opened.release()


def _carry_on(run: Run) -> None:
    """Does what is left of the run."""
    workdir = run.folder.path
    try:
        with memory.explained(LESS_MEMORY):
            run.introduce()
            run.train()
            finish(run)
    except Interrupted:
        run.save()
        run.say(f"interrupted in epoch {run.progress.epoch}; the same command with --workdir={workdir} goes on")
    except (UserError, GameError, jax.errors.JaxRuntimeError) as error:
        if jax.process_count() > 1:  # a teardown waits for the other processes, which may be gone
            lost = f"lost another process of the run: {one_line(error)}; start all again with --workdir={workdir}"
            command_line.give_up(lost if isinstance(error, jax.errors.JaxRuntimeError) else str(error))
        raise
    finally:
        run.close()
