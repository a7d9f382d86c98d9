from pathlib import Path

import pytest

from benchmarks.survival import survive
from tests.runs import IN_A_HURRY


@pytest.mark.parametrize(
    ("kills", "epochs"),
    [pytest.param(1, 4, marks=pytest.mark.ci), pytest.param(20, 41, marks=pytest.mark.slow)],
)
def test_a_run_survives_sigkill(tmp_path: Path, kills: int, epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anywhere, in a checkpoint and in a journal file: counts, losses and files are checked by `survive`."""
    for name, value in IN_A_HURRY.items():
        monkeypatch.setenv(name, value)
    assert [kill.moment for kill in survive(tmp_path, kills, kills, epochs)][:1] == ["checkpoint"]
