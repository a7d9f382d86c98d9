"""Every import arrow points down."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "edeline_jax"
FLOORS = (  # from the ground up; rooms of one floor do not know each other
    ("runtime", "envs"),
    ("config", "replay"),
    ("nn", "workdir"),
    ("world_model", "actor_critic", "dataset", "report"),
    ("agent",),
    ("acting",),
    ("learning",),
    ("evaluation",),
    ("training", "play"),
    ("train", "evaluate", "convert", "__main__"),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The rooms that a file imports from, inside of functions and for type checkers too."""
    tree, modules = ast.parse(path.read_text()), []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
    return {name.split(".")[1] for name in modules if name.startswith("edeline_jax.")} & {*FLOOR, "__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_from_below_and_from_its_own_room(path: Path) -> None:
    if path == PACKAGE / "__init__.py":
        return
    room = room_of(path)
    below = {other for other in FLOOR if FLOOR[other] < FLOOR[room]}
    assert imports(path) <= below | {room, "__version__"}
