"""What a task's programs print is kept, bounded, and read from any position."""

import errno
import os
from pathlib import Path

import pytest

from swarm_tui.journal import task_output
from swarm_tui.journal.task_output import (
    ROW,
    OutputFile,
    attempts_with_output,
    output_rows,
    read_output,
    tail_position,
)
from swarm_tui.protocol.pages import over


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_output, "HEAD", 100)
    monkeypatch.setattr(task_output, "TAIL", 50)


def whole(folder: Path, task_id: str, attempt: int | None = None, limit: int = 1 << 20) -> tuple[str, int]:
    """All that is kept, and how many bytes were left out."""
    text, position, missing = "", 0, 0
    while (page := read_output(folder, task_id, attempt, since=position, limit=limit)) and page.next > position:
        text, missing, position = text + page.text, missing + page.start - position, page.next
    return text, missing


def test_the_beginning_and_the_end_are_kept_and_the_middle_is_counted(tmp_path: Path) -> None:
    output = OutputFile(tmp_path, "t", 1)
    lines = [f"line {number:03}\n" for number in range(100)]
    for line in lines:
        output.write(line.encode())
    text, missing = whole(tmp_path, "t")
    said = "".join(lines)
    assert text.startswith(said[:100])
    assert said.endswith(text[100:])
    assert 50 <= len(text) - 100 <= 100
    assert len(text) + missing == len(said)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 100 + 2 * (50 + 21)
    # A reader with small pages reads the same.
    assert whole(tmp_path, "t", limit=7) == (text, missing)


def test_nothing_is_written_before_the_first_byte_and_the_end_is_marked(tmp_path: Path) -> None:
    output = OutputFile(tmp_path / "o", "t", 2)
    assert not (tmp_path / "o").exists()
    output.write(b"one\n")
    page = read_output(tmp_path / "o", "t")
    assert page is not None
    assert (page.attempt, page.text, page.size, page.ended) == (2, "one\n", 4, False)
    assert (tmp_path / "o").stat().st_mode & 0o777 == 0o700
    output.close()
    output.write(b"late\n")
    page = read_output(tmp_path / "o", "t", since=4)
    assert page is not None
    assert (page.text, page.next, page.ended) == ("", 4, True)
    # An attempt that is begun again begins anew.
    again = OutputFile(tmp_path / "o", "t", 2)
    again.write(b"two\n")
    assert whole(tmp_path / "o", "t") == ("two\n", 0)


def test_a_full_disk_takes_no_descriptors_and_not_the_end_that_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = OutputFile(tmp_path, "t", 1)
    output.write(b"a" * 100 + b"b" * 50)
    write, held = os.write, len(os.listdir("/proc/self/fd"))

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    for _ in range(5):
        output.write(b"c")
    assert "No space left" in output.failure
    assert len(os.listdir("/proc/self/fd")) == held
    monkeypatch.setattr(os, "write", write)
    output.write(b"d")
    assert whole(tmp_path, "t")[0] == "a" * 100 + "b" * 50 + "d"


def test_the_last_attempt_is_read_unless_one_is_named(tmp_path: Path) -> None:
    for attempt in (1, 3):
        OutputFile(tmp_path, "t", attempt).write(b"%d" % attempt)
    assert attempts_with_output(tmp_path, "t") == [1, 3]
    assert whole(tmp_path, "t")[0] == "3"
    assert whole(tmp_path, "t", 1)[0] == "1"
    assert read_output(tmp_path, "t", 2) is None


@pytest.mark.parametrize("lines", [0, 1, 2, 5, 12, 100])
def test_the_last_lines(tmp_path: Path, lines: int) -> None:
    output = OutputFile(tmp_path, "t", 1)
    said = [f"n {number:03}\n".encode() for number in range(40)]
    for line in said:
        output.write(line)
    position = tail_position(tmp_path, "t", None, lines)
    text = "".join(row["text"] for row in output_rows(tmp_path, {"task_id": "t", "lines": lines}))
    if lines <= 12:
        assert text.encode() == b"".join(said[40 - lines :])
        assert position == sum(map(len, said[: 40 - lines]))
    else:
        assert position == 0


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"task_id": 7},
        {"task_id": "../x"},
        {"task_id": "t", "attempt": 10**400},
        {"task_id": "none"},
        {"task_id": ".."},
    ],
)
def test_odd_questions_have_no_answer(tmp_path: Path, args: dict[str, object]) -> None:
    OutputFile(tmp_path / "o", "t", 1).write(b"x")
    (tmp_path / "x-1.log").write_text("not ours")
    assert output_rows(tmp_path / "o", args) == []


def test_every_row_fits_a_message_whatever_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_output, "HEAD", 1 << 20)
    output = OutputFile(tmp_path, "t", 1)
    output.write(b"\x01\xff\x00\x1b" * (ROW + 5))
    rows = output_rows(tmp_path, {"task_id": "t"})
    assert all(over(row) is None for row in rows)
    assert rows[-1]["next"] == rows[-1]["size"] == 4 * (ROW + 5)


def test_a_disk_that_takes_nothing_is_told_and_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "o").write_text("in the way")
    output = OutputFile(tmp_path / "o", "t", 1)
    output.write(b"x")
    assert "o" in output.failure
    output.close()
