"""The folder of a sweep: what is written stays, what is torn is cut off, and it has one owner."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.errors import InputError
from pimsim.sweep.folder import Journal, owned, read_manifest

ROWS = [{"status": "ok", "system.latency_ns": 0.1 * i, "name": "x" * i} for i in range(5)]


def write(path: Path) -> bytes:
    with Journal(path, 5) as journal:
        for index in (3, 0, 4, 1):
            journal.append(index, ROWS[index])
    return path.read_bytes()


def test_rows_come_back_by_number_whatever_order_they_were_written_in(tmp_path: Path) -> None:
    write(tmp_path / "journal")
    with Journal(tmp_path / "journal", 5) as journal:
        assert list(journal.indexes()) == [0, 1, 3, 4] and journal.finished == 4 and 2 not in journal
        assert journal.row(3) == {"index": 3, **ROWS[3]}
        journal.append(2, ROWS[2])
        assert [journal.row(index) for index in journal.indexes()] == [{"index": i, **ROWS[i]} for i in range(5)]


@settings(max_examples=60)
@given(st.data())
def test_a_journal_cut_anywhere_keeps_every_whole_line(data: st.DataObject) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        whole = write(path)
        cut = data.draw(st.integers(0, len(whole)), label="cut")
        path.write_bytes(whole[:cut])
        lines = whole[:cut].count(b"\n")
        with Journal(path, 5) as journal:
            assert journal.finished == lines
            journal.append(2, ROWS[2])
        with Journal(path, 5) as journal:
            assert journal.finished == lines + 1 and journal.row(2) == {"index": 2, **ROWS[2]}


def test_a_line_that_is_not_what_was_written_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    whole = write(path)
    path.write_bytes(whole.replace(b'"index":0', b'"index":2', 1))
    with Journal(path, 5) as journal:
        assert list(journal.indexes()) == [1, 3, 4]


def test_a_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    with (
        owned(tmp_path / "out"),
        pytest.raises(InputError, match=f"runs in this folder already .process {os.getpid()} on"),
        owned(tmp_path / "out"),
    ):
        pass
    with owned(tmp_path / "out"):
        pass


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from pimsim.sweep.folder import owned
with owned(Path({str(tmp_path)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    root = str(Path(__file__).parents[2])
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": root}).returncode == -9
    with owned(tmp_path):
        pass


def test_a_file_that_is_no_manifest_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(InputError, match="is no manifest of a sweep"):
        read_manifest(tmp_path)
