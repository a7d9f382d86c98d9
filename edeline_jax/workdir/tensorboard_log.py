"""Copies metrics and pictures into event files for TensorBoard (extra `tensorboard`)."""

import importlib.util
import io
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from etils.epath import Path

from edeline_jax.runtime.errors import UserError, one_line
from edeline_jax.runtime.files import in_bucket
from edeline_jax.workdir.folder import RunFolder

_LOG = logging.getLogger(__name__)
STEPS = "env_steps"
# Group of metrics -> the counter that is their x axis. The other groups have environment steps, as pictures do.
COUNTERS = {
    "world_model": "world_model_updates",
    "test_world_model": "world_model_updates",
    "actor_critic": "actor_critic_updates",
}


def require_tensorboard(wanted: bool, workdir: Path) -> None:
    """Raises UserError if event files are wanted, and tensorboardX is not installed or the folder is in a bucket."""
    if not wanted:
        return
    if importlib.util.find_spec("tensorboardX") is None:
        raise UserError(
            "tensorboard=True needs tensorboardX: pip install 'edeline-jax[tensorboard]', or "
            "--config.tensorboard=False to do without"
        )
    if in_bucket(workdir):
        raise UserError(
            f"tensorboard=True: {workdir} is in a bucket, and event files need a --workdir on a disk; "
            "--config.tensorboard=False to do without"
        )


class TensorBoardLog:
    """Writes event files; if that fails, only TensorBoard's copy of the metrics is lost.

    Curves are written anew at every start, from the lines that the run goes on from. So a resumed run shows no point
    twice, and a run that turns TensorBoard on late shows its past. Pictures, of which there is no other copy, stay.
    """

    def __init__(self, workdir: Path, history: Iterable[Mapping[str, float]], env_steps: int, wall_time: float):
        """`history` are the lines so far; `env_steps` and `wall_time` say where the run stands."""
        self._folder = RunFolder(workdir).tensorboard
        self._began = time.time() - wall_time
        self._curves = self._pictures = None
        try:
            for old in self._folder.glob("events.*"):
                old.unlink()
            self._curves = _open(self._folder, 0)
            self._pictures = _open(self._folder / "pictures", env_steps + 1)
        except OSError as error:
            self._give_up(error)
        for line in history:
            self.log(line)

    def log(self, line: Mapping[str, float]) -> None:
        """Writes the values `group/name` of a line, each against the counter of its group."""
        for name, value in line.items():
            group, slash, _ = name.partition("/")
            if slash:
                self._write(self._curves, line, COUNTERS.get(group, STEPS), {"tag": name, "simple_value": value})

    def show(self, line: Mapping[str, float], pictures: Iterable[Path]) -> None:
        """Writes pictures, PNG or GIF, which TensorBoard shows as they are; `line` has the counters."""
        from PIL import Image

        for path in pictures:
            content = path.read_bytes()
            width, height = Image.open(io.BytesIO(content)).size
            image = {"width": width, "height": height, "colorspace": 3, "encoded_image_string": content}  # 3: RGB
            self._write(self._pictures, line, STEPS, {"tag": path.name, "image": image})
        self.flush()

    def flush(self) -> None:
        """Makes everything written so far visible to TensorBoard."""
        for writer in (self._curves, self._pictures):
            try:
                if writer is not None:
                    writer.flush()
            except OSError as error:
                self._give_up(error)

    def close(self) -> None:
        """Flushes and closes the files."""
        self.flush()
        for writer in (self._curves, self._pictures):
            if writer is not None:
                writer.close()

    def _write(self, writer: Any, line: Mapping[str, float], counter: str, value: dict[str, Any]) -> None:
        if writer is None:
            return
        from tensorboardX.proto.event_pb2 import Event

        event = Event(wall_time=self._began + line["wall_time"], step=int(line[counter]), summary={"value": [value]})
        try:
            writer.write_event(event)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        _LOG.warning("%s cannot be written (%s); metrics go on in metrics.jsonl", self._folder, one_line(error))
        self._curves = self._pictures = None


def _open(folder: Path, first_step: int) -> Any:
    """Begins an event file in `folder`; what TensorBoard has read there from `first_step` on is void."""
    from tensorboardX.event_file_writer import EventsWriter  # SummaryWriter's own queue would block on a full disk
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    folder.mkdir(parents=True, exist_ok=True)
    writer = EventsWriter(str(folder / "events"))
    writer.write_event(Event(wall_time=time.time(), step=first_step, session_log={"status": SessionLog.START}))
    return writer
