"""The end of a log: its last lines whatever its size, readable without what was meant for a terminal."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.journal import pane_log, pane_times
from swarm_tui.journal.pane_log import last_lines, readable
from swarm_tui.journal.pane_times import PaneTimes, printed


def test_the_tail_of_a_log_reaches_into_its_predecessor(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    (tmp_path / "a.log.1").write_bytes(b"1\n2\n3\n")
    path.write_bytes(b"4\n5")
    assert last_lines(path, 4) == [b"2", b"3", b"4", b"5"]
    assert last_lines(path, 1) == [b"5"]
    assert last_lines(path, 0) == []
    path.write_bytes(b"")
    assert last_lines(path, 2) == [b"2", b"3"]
    assert last_lines(tmp_path / "none", 3) == []


@given(
    st.lists(st.binary(max_size=5).map(lambda b: b.replace(b"\n", b"")), max_size=50),
    st.integers(1, 60),
    st.integers(1, 40),
)
def test_the_tail_is_the_end(lines: list[bytes], count: int, block: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pane_log, "_BLOCK", block)
        path = Path(folder) / "x"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        assert last_lines(path, count) == lines[-count:]


def test_only_the_end_of_a_line_without_an_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pane_log, "_BLOCK", 7)
    monkeypatch.setattr(pane_log, "_MOST", 7)
    path = tmp_path / "a.log"
    path.write_bytes(b"x" * 100 + b"the end")
    assert last_lines(path, 5) == [b"the end"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b[1;32mgreen\x1b[0m\r", "green"),
        (b"10%\r20%\r30%", "30%"),
        (b"\x1b]0;title\x07text", "text"),
        (b"a\x07b", "a␇b"),
        (b"\xff", "�"),
        ("✅ ok".encode(), "✅ ok"),
    ],
)
def test_a_log_line_gives_no_orders_to_the_terminal(raw: bytes, shown: str) -> None:
    assert readable(raw) == shown


@given(st.binary(max_size=60))
def test_no_line_keeps_an_escape(raw: bytes) -> None:
    assert not set(readable(raw)) & set(map(chr, [*range(9), *range(11, 32), 127]))


def test_a_log_that_was_compressed_is_unpacked_once_for_all_its_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, old, opened = tmp_path / "a.log", tmp_path / "a.log.1", list[Path]()
    notes = PaneTimes()
    log.write_bytes(b"now\n")
    for number in range(1, 51):
        with old.open("ab") as file:
            file.write(b"%03d\n" % number)
        notes.note(old, 4 * number, 1000.0 + number)
    pane_log.pack(old)
    monkeypatch.setattr(pane_times, "opened_log", lambda path: (opened.append(path), pane_log.opened_log(path))[1])
    found = list(printed(log, 1011.0, 1040.0))
    assert found == [(1000.0 + number, b"%03d\n" % number) for number in range(11, 41)]
    assert opened == [old]
    old.with_name("a.log.1.gz").write_bytes(b"damaged")
    assert list(printed(log, 1011.0, 1040.0)) == []
