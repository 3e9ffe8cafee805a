"""A file that is replaced is there whole, whoever else replaces it, and nothing is left beside it."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.whole_file import replace_file


def test_the_folder_is_made_and_nobody_else_may_read_the_file(tmp_path: Path) -> None:
    file = tmp_path / "made" / "keys.json"
    replace_file(file, b"first")
    replace_file(file, b"second")
    assert file.read_bytes() == b"second"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_those_who_write_at_the_same_time_do_not_write_into_each_other(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    texts = [bytes([number]) * 100_000 for number in range(8)]

    def write_often(text: bytes) -> None:
        for _ in range(20):
            replace_file(file, text)
            assert file.read_bytes() in texts

    with ThreadPoolExecutor(len(texts)) as writers:
        list(writers.map(write_often, texts))
    assert list(tmp_path.iterdir()) == [file]


def test_one_that_cannot_be_replaced_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "keys.json").mkdir()
    with pytest.raises(OSError):
        replace_file(tmp_path / "keys.json", b"text")
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]
