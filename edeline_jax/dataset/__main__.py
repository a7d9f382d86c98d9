"""Inspects and converts recorded experience.

python -m edeline_jax.dataset inspect DATASET            prints the contents in a few lines
python -m edeline_jax.dataset validate DATASET           reads every episode; exit status 1 if one is damaged or invalid
python -m edeline_jax.dataset import FOLDER DATASET      reads a folder of .npz, one episode each, ordered by name, or
                                                         the replay of a run of the authors' programs (dataset/train)
python -m edeline_jax.dataset export RUN DATASET         writes the steps that a run has collected
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from absl import flags
from etils.epath import Path
from tqdm import tqdm

from edeline_jax.dataset.arrays import DatasetError
from edeline_jax.dataset.episodes import MOST_ACTIONS, DatasetWriter, Episode, check_episode, open_dataset
from edeline_jax.dataset.journal import Journal, episodes, files
from edeline_jax.dataset.recording import find_recordings, read_recording
from edeline_jax.runtime import command_line
from edeline_jax.runtime.errors import UserError
from edeline_jax.runtime.files import to_path

NUM_ACTIONS = flags.DEFINE_integer("num_actions", None, "import: actions of the game; default: the largest found, + 1.")


def main(argv: Sequence[str]) -> None:
    """Runs the command argv[1] on the folders in the remaining arguments."""
    command, *folders = argv[1:] or ["help"]
    if command not in COMMANDS or len(folders) != COMMANDS[command][1]:
        usage = "; ".join(line.split("  ")[0].strip() for line in __doc__.splitlines() if line.startswith("python"))
        raise UserError(f"usage: {usage}")
    COMMANDS[command][0](*map(to_path, folders))


def inspect(folder: Path) -> None:
    """Prints a summary of the manifest."""
    dataset = open_dataset(folder)
    steps = [entry.steps for entry in dataset.entries]
    rewards = [entry.total_reward for entry in dataset.entries]
    size = sum((folder / entry.file).stat().length for entry in dataset.entries if (folder / entry.file).exists())
    height, width, _ = dataset.frame_shape
    command_line.say(f"{folder}: {len(steps):,} episodes, {dataset.num_steps:,} steps, {size / 1e6:,.1f} MB")
    command_line.say(f"frames: {height} x {width} RGB; actions: {dataset.num_actions}")
    command_line.say(f"steps per episode: {min(steps)} to {max(steps)}, mean {np.mean(steps):.1f}")
    command_line.say(f"total reward per episode: {min(rewards):g} to {max(rewards):g}, mean {np.mean(rewards):.3g}")
    command_line.say(f"in training: {dataset.num_steps * (height * width * 3 + 9) / 1e9:.3f} GB on the devices")


def validate(folder: Path) -> None:
    """Reads every episode and prints every error; raises DatasetError if there were any."""
    dataset = open_dataset(folder)
    wrong = 0
    for entry in tqdm(dataset.entries, disable=None):
        try:
            dataset.read(entry)
        except DatasetError as error:
            wrong += 1
            command_line.say(str(error))
    if wrong:
        raise DatasetError(f"{folder}: {wrong} of {len(dataset.entries)} episodes cannot be used")
    command_line.say(f"{folder}: {len(dataset.entries):,} episodes, all as the manifest says")


def import_(source: Path, folder: Path) -> None:
    """Copies recordings made by other programs into a dataset."""
    paths = find_recordings(source)
    shape = None
    largest = 0
    steps, other_rewards = 0, 0
    for path in tqdm(paths, "reading", disable=None):  # check all files before anything is written
        episode = read_recording(path)
        check_episode(episode, NUM_ACTIONS.value or MOST_ACTIONS, path)
        shape = shape or episode.frames.shape[1:]
        largest = max(largest, int(episode.actions.max()))
        steps += len(episode.rewards)
        other_rewards += int((episode.rewards != np.sign(episode.rewards)).sum())
        if episode.frames.shape[1:] != shape:
            raise DatasetError(f"{path}: frames {episode.frames.shape[1:]}, those of {paths[0].name} are {shape}")
    if shape[0] != shape[1]:
        raise DatasetError(f"{source}: frames of {shape[0]} x {shape[1]}; they must be square: crop or pad them")
    recordings = ((number, read_recording(path)) for number, path in enumerate(tqdm(paths, "writing", disable=None)))
    write(DatasetWriter(folder, shape, NUM_ACTIONS.value or largest + 1), recordings)
    inspect(folder)
    if other_rewards:
        command_line.say(
            f"rewards: {other_rewards:,} of {steps:,} are others than -1, 0 and 1; a run learns only their signs, "
            "unless it has --config.reward.head=twohot --config.reward.clip=none"
        )


def write(writer: DatasetWriter, numbered: Iterable[tuple[int, Episode]]) -> None:
    """Writes all episodes and the manifest, or leaves nothing."""
    try:
        for number, episode in numbered:
            writer.add(episode, number)
        writer.close()
    except BaseException:
        writer.discard()
        raise


def export(run: Path, folder: Path) -> None:
    """Copies the steps of a run into a dataset."""
    from edeline_jax.config import pour
    from edeline_jax.envs import count_actions
    from edeline_jax.workdir.folder import RunFolder

    replay = RunFolder(run).replay
    config = pour(RunFolder(run).read_config())
    chunks = files(replay) if replay.is_dir() else []
    if not chunks:
        raise DatasetError(f"{replay}: the run has collected nothing")
    journal = Journal(replay, config.env.num_envs, config.frame_shape)
    collected = tqdm(episodes(journal, chunks[-1][1]), unit="episode", disable=None)
    write(DatasetWriter(folder, config.frame_shape, count_actions(config.env)), collected)
    inspect(folder)


COMMANDS: dict[str, tuple[Callable, int]] = {
    "inspect": (inspect, 1),
    "validate": (validate, 1),
    "import": (import_, 2),
    "export": (export, 2),
}


def cli() -> None:
    """The program with its flags."""
    command_line.run(main)


if __name__ == "__main__":
    cli()
