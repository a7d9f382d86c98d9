"""Makes files of a recording, for a browser to keep."""

import io
import tempfile
import zipfile

from etils.epath import Path

from edeline_jax.dataset.episodes import DatasetWriter
from edeline_jax.evaluation.video import film_kinds, write_film
from edeline_jax.play.picture import encode
from edeline_jax.play.recorder import Recording, as_episode


def file_kinds() -> list[str]:
    """What `pack` can make here: an MP4 needs imageio-ffmpeg (extra `video`)."""
    return [*film_kinds(), "dataset"]


def pack(kind: str, recording: Recording) -> bytes:
    """The message with the file: a film, or a dataset in the open format as a zip."""
    with tempfile.TemporaryDirectory() as folder:
        if kind == "dataset":
            return encode({"kind": "file", "name": "episodes.zip"}, file=_dataset(recording, Path(folder) / "episodes"))
        if kind in film_kinds():
            (path,) = write_film(recording.film(), Path(folder), "play", [kind])
            return encode({"kind": "file", "name": path.name}, file=path.read_bytes())
    return encode({"kind": "note", "text": f"no {kind} here: pip install 'edeline-jax[video]'"})


def _dataset(recording: Recording, folder: Path) -> bytes:
    writer = DatasetWriter(folder, recording.frame_shape, recording.num_actions)
    for number, steps in enumerate(recording.episodes):
        writer.add(as_episode(steps), number)
    writer.close()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.writestr(f"episodes/{path.name}", path.read_bytes())
    return content.getvalue()
