"""What a pane printed goes over the bus whole, and out of logs that were compressed."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.journal import pane_excerpt
from swarm_tui.journal.pane_excerpt import Piece, excerpt, packed, unpacked
from swarm_tui.journal.pane_log import opened_log, pack
from swarm_tui.journal.pane_times import PaneTimes, pane_at, printed
from tests.examples import examples


def written(log: Path, pieces: list[bytes]) -> None:
    """A log to which a piece was added each second."""
    times, size = PaneTimes(), 0
    for second, piece in enumerate(pieces, 1):
        with log.open("ab") as file:
            file.write(piece)
        size += len(piece)
        times.note(log, size, float(second))


def asked(log: Path, since: float, until: float) -> list[Piece]:
    """All of it, as somebody on another host gets it."""
    found: list[Piece] = []
    skip: int | None = 0
    while skip is not None:
        more, skip = unpacked(packed(log, since, until, skip))
        found += more
    return found


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=12), st.integers(0, 6), st.integers(1, 64))
def test_what_is_asked_for_is_what_was_printed(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], since: int, most: int
) -> None:
    log = tmp_path_factory.mktemp("logs") / "a.log"
    written(log, pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pane_excerpt, "MOST", most)
        patch.setattr(pane_excerpt, "ROW", 7)
        assert asked(log, float(since), 100.0) == list(excerpt(log, float(since), 100.0))


def test_a_compressed_log_is_read_as_before(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    written(log, [b"one\n", b"two\n", b"three\n"])
    before = (list(printed(log, 0.0, 9.0)), pane_at(log, 2.5, 9))
    times = log.with_name("a.log.times")
    os.replace(log, tmp_path / "a.log.1")
    os.replace(times, tmp_path / "a.log.1.times")
    pack(tmp_path / "a.log.1")
    log.touch()
    assert (list(printed(log, 0.0, 9.0)), pane_at(log, 2.5, 9)) == before
    gz = tmp_path / "a.log.1.gz"
    assert gz.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "a.log.1").exists()
    gz.write_bytes(gz.read_bytes()[:-9])
    assert list(printed(log, 0.0, 9.0)) == [], "a damaged one has nothing, and raises nothing"
    with pytest.raises(OSError, match="gz"):
        opened_log(tmp_path / "a.log.1")
    with pytest.raises(FileNotFoundError):
        opened_log(tmp_path / "none")


@pytest.mark.parametrize(
    "rows",
    [
        [{"data": "AAAA"}],
        [{"next": None, "data": "AAAA"}],
        [{"next": None, "data": "no base64!"}],
        ["text"],
        [{"next": -1, "data": packed}],
        [5],
    ],
)
def test_an_answer_of_another_shape_is_refused(rows: list[Any]) -> None:
    with pytest.raises(ValueError, match="no excerpt"):
        unpacked(rows)
