"""README and docs/ say what is there: links, commands, keys, the Python of the README, and the Dockerfile."""

import importlib.util
import itertools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from configs.atari import get_config
from edeline_jax.agent.trained import TrainedAgent
from edeline_jax.config import leaves
from tests.envs.emulator import Emulator
from tests.runs import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SIZE = 32  # of the frames of the example
FOLDERS = "benchmarks|configs|constraints|edeline_jax|launch|tests"

per_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def links(page: Path) -> list[str]:
    """Targets of links and pictures that are not addresses of the web."""
    targets = re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text()))
    return [target for target in targets if "://" not in target]


def anchors(page: Path) -> set[str]:
    """Those of its headings, as the usual hosts of repositories make them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@per_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_links_are_found() -> None:
    assert {"docs/playing.gif", "docs/configuration.md", "CITATION.cff"} <= set(links(ROOT / "README.md"))
    assert "configuration.md#changing-a-key-of-an-existing-run" in links(ROOT / "docs" / "running.md")
    assert "what-is-equal-and-how-that-is-known" in anchors(ROOT / "docs" / "fidelity.md")


def test_the_readme_leads_to_every_page() -> None:
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= set(links(ROOT / "README.md"))


def test_the_readme_is_short() -> None:
    text = re.sub(r"^```bibtex\n.*?^```$", "", (ROOT / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    assert 400 < len(text.split()) <= 700


def test_the_readme_says_what_matters() -> None:
    text = (ROOT / "README.md").read_text()
    assert "\nbash launch/quickstart.sh " in text and "\nbash launch/test.sh " in text
    assert "No full-length run has been made with it" in text


@per_page
def test_files_and_modules_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(rf"\b(?:{FOLDERS})/[\w./]*\w", text):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"python -m ((?:benchmarks|docs|edeline_jax)[\w.]*)", text):
        assert importlib.util.find_spec(name), name


@per_page
def test_keys_that_are_named_exist(page: Path) -> None:
    keys = leaves(get_config().to_dict())
    names = {".".join(words[: n + 1]) for words in (key.split(".") for key in keys) for n in range(len(words))}
    groups = "|".join(name.partition(".")[2] for name in names if name.count(".") == 1)
    text = re.sub(r"^\| `[\w.]+` \|", "", page.read_text(), flags=re.MULTILINE)  # the reference's, in fidelity.md
    text = re.sub(r"\w+\.(?:json|png|py)\b", "", text)
    for name in re.findall(r"\bconfig(?:\.[a-z_]+)+", text):
        assert name in names, name
    for name in re.findall(rf"`((?:{groups})(?:\.[a-z_]+)+)[`=]", text):
        assert f"config.{name}" in names, name


def test_the_python_of_the_readme_plays(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """The agent of the package plays one game of Gymnasium's; the emulator shows and scores the same."""
    steps: list[tuple[np.ndarray, int]] = []
    plain = TrainedAgent.act

    def recorded(agent: TrainedAgent, frame: np.ndarray) -> int:
        steps.append((frame, plain(agent, frame)))
        return steps[-1][1]

    monkeypatch.setattr(TrainedAgent, "act", recorded)
    (block,) = (text for language, text in FENCE.findall((ROOT / "README.md").read_text()) if language == "python")
    exec(compile(block, "README.md", "exec"), {})
    score = float(capsys.readouterr().out)
    assert any(played == (score, len(steps)) for played in emulated(steps))


def emulated(steps: list[tuple[np.ndarray, int]]) -> Iterator[tuple[float, int]]:
    """Scores and lengths of the games with these actions, after 1 to 30 no-ops, that show these frames."""
    for noops in range(1, 31):
        emulator = Emulator("boxing", SIZE, 4)  # anew: what a game has left in the memory would change the next
        shown, score = emulator.reset(noops), 0.0
        for t, (frame, action) in enumerate(steps):
            if not np.array_equal(shown, frame):
                break
            outcome = emulator.step(action)
            shown, score = outcome.frame, score + outcome.reward
            if outcome.game_over:
                yield score, t + 1
                break


def test_the_image_gets_files_that_exist_and_all_that_the_package_needs() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = set(itertools.chain(*(line.split()[1:-1] for line in lines if line.startswith("COPY "))))
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    for name in copied:
        assert (ROOT / name).exists() and name not in ignored, name
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, setuptools = package["project"], package["tool"]["setuptools"]
    needed = {"pyproject.toml", project["readme"], *project["license-files"]}
    assert copied >= needed | {name.partition(".")[0] for name in setuptools["packages"]}
    assert copied >= set(setuptools["package-dir"].values())
    (extras,) = (line.partition("=")[2] for line in lines if line.startswith("ARG EXTRAS="))
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    (python,) = re.findall(r"^FROM python:(3\.\d+)-slim$", "\n".join(lines), re.MULTILINE)
    (constraints,) = re.findall(r"--constraint (\S+)", "\n".join(lines))
    assert (
        constraints == f"constraints/python{python}.txt" and (ROOT / constraints).exists() and "constraints" in copied
    )
