"""What `leadline doctor` says of the spool: nothing that stays behind there goes unseen."""

from pathlib import Path

import pytest

from leadline.doctor import check_spool
from services.ingest.adapters.views import held_back, spooled


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a.held", "9 bytes were refused"),
        ("a.torn", "9 bytes lie in damaged files"),
        ("a.spool", "9 bytes wait"),
    ],
)
def test_whatever_stays_behind_is_said(tmp_path: Path, name: str, says: str) -> None:
    folder = tmp_path / "spool" / "activity"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"something")
    assert any(check.detail.startswith(says) for check in check_spool(tmp_path))


def test_what_is_damaged_hides_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "spool" / "activity"
    folder.mkdir(parents=True)
    for name in ("a.held", "a.torn", "a.spool"):
        (folder / name).write_bytes(b"something")
    assert len(check_spool(tmp_path)) == 3


@pytest.mark.parametrize("suffix", ["held", "torn"])
def test_the_reconciliation_finds_what_will_not_arrive_by_itself(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "activity"
    folder.mkdir()
    assert held_back(spooled(tmp_path)).ok
    (folder / f"a.{suffix}").write_bytes(b"something")
    assert not held_back(spooled(tmp_path)).ok
