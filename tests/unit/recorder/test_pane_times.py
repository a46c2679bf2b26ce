"""Of every moment that was noted, the pane's last lines are those that the log held then, over rotations too."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.journal.pane_times import PaneTimes, pane_at, printed, times_of
from tests.examples import examples

PIECE = st.text(alphabet="ab\n", max_size=12).map(str.encode)


def rotate(log: Path, times: PaneTimes) -> None:
    for number in range(8, -1, -1):
        source = log if number == 0 else log.with_name(f"{log.name}.{number}")
        if source.exists():
            os.replace(source, log.with_name(f"{log.name}.{number + 1}"))
        times.shift(log, number)
    log.write_bytes(b"")


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.one_of(PIECE, st.none()), max_size=20), st.integers(1, 6))
def test_the_pane_of_any_moment(
    tmp_path_factory: pytest.TempPathFactory, story: list[bytes | None], count: int
) -> None:
    log = tmp_path_factory.mktemp("logs") / "a.log"
    log.write_bytes(b"")
    times, held, rotations = PaneTimes(), b"", 0
    expected: list[tuple[float, bytes]] = []
    for moment, piece in enumerate(story):
        if piece is None and rotations < 8:
            rotate(log, times)
            held, rotations = b"", rotations + 1
        elif piece:
            with log.open("ab") as file:
                file.write(piece)
            held += piece
            times.note(log, len(held), float(moment))
            expected.append((float(moment), held))
    for at, content in expected:
        lines = content.split(b"\n")
        assert pane_at(log, at + 0.5, count) == (lines if lines[-1] else lines[:-1])[-count:]
    assert pane_at(log, -1.0, count) is None
    whole = b"".join(piece for piece in story if piece)
    assert b"".join(data for _, data in printed(log, -1.0, 100.0)) == whole
    assert [at for at, _ in printed(log, 2.0, 5.0)] == [at for at, _ in expected if 2.0 <= at <= 5.0]


def test_a_record_cut_off_and_a_log_that_is_gone(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"one\ntwo\n")
    PaneTimes().note(log, 4, 1.0)
    times_of(log).write_bytes(times_of(log).read_bytes() + b"\x00\x01")
    assert pane_at(log, 9.0, 5) == [b"one"]
    log.unlink()
    assert pane_at(log, 9.0, 5) == []
    assert list(printed(log, 0.0, 9.0)) == []
    assert pane_at(tmp_path / "none.log", 9.0, 5) is None
    assert times_of(log).stat().st_mode & 0o777 == 0o600
