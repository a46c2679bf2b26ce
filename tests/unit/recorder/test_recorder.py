"""The flight recorder: one contract for disk and memory, and what only the one on disk must hold."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm_tui.journal.db import migrate
from swarm_tui.journal.recorder import MIGRATIONS, SqliteRecorder
from swarm_tui.journal.recorder_port import HistoryQuery, Keyframe, Mark, MemoryRecorder, Recorded, Recorder
from tests.wait import until


@pytest.fixture(params=["disk", "memory"])
def recorder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Recorder]:
    disk = request.param == "disk"
    made: Recorder = SqliteRecorder(tmp_path / "r.db", clock=lambda: 1000.0) if disk else MemoryRecorder()
    yield made
    made.close()


def numbers(rows: list[Recorded]) -> list[int]:
    return [int(row.payload) for row in rows]


def fill(recorder: Recorder) -> None:
    for n in range(100):
        agent, task = f"a{n % 3}", f"t{n % 5}" if n % 2 else None
        recorder.add(Recorded(1000.0 + n, f"s/agents/{agent}/status", str(n).encode(), agent, task))
    recorder.flush()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (HistoryQuery(), list(range(100))),
        (HistoryQuery(limit=3), [97, 98, 99]),
        (HistoryQuery(since=1090, until=1092), [90, 91, 92]),
        (HistoryQuery(agent_id="a1", since=1090), [91, 94, 97]),
        (HistoryQuery(task_id="t3", limit=2), [83, 93]),
        (HistoryQuery(topic="s/agents/a2/#", limit=2), [95, 98]),
        (HistoryQuery(topic="s/+/a0/status", limit=1), [99]),
        (HistoryQuery(topic="other/#"), []),
        (HistoryQuery(topics=("other/#", "s/agents/a2/#", "s/+/a0/status"), limit=3), [96, 98, 99]),
        (HistoryQuery(limit=-4), [99]),
    ],
)
def test_queries(recorder: Recorder, query: HistoryQuery, expected: list[int]) -> None:
    fill(recorder)
    assert numbers(recorder.history(query)) == expected


def test_what_was_added_is_there_whole(recorder: Recorder) -> None:
    message = Recorded(5.5, "s/x\u2603", b"\xff\x00", "a", "t")
    recorder.add(message)
    recorder.add(Recorded(6.5, "s/big", b"x" * 200_000))
    recorder.flush()
    first, second = recorder.history(HistoryQuery())
    assert first == message
    assert len(second.payload) == 128 * 1024
    stats = recorder.stats()
    assert (stats.stored, stats.dropped, stats.oldest) == (2, 0, 5.5)
    assert stats.size > 0


def test_messages_that_come_out_of_order_are_told_in_order(recorder: Recorder) -> None:
    for n in (3, 1, 2):
        recorder.add(Recorded(float(n), "s/x", str(n).encode()))
    recorder.flush()
    assert numbers(recorder.history(HistoryQuery())) == [1, 2, 3]


def test_the_keyframe_of_a_moment_is_the_newest_before_it(recorder: Recorder) -> None:
    assert recorder.keyframe(2000.0) is None
    for at in (1000.0, 1010.0, 1020.0):
        recorder.add_keyframe(Keyframe(at, str(at).encode()))
    recorder.flush()
    assert [recorder.keyframe(at) for at in (999.0, 1000.0, 1019.9)] == [
        None, Keyframe(1000.0, b"1000.0"), Keyframe(1010.0, b"1010.0")
    ]  # fmt: skip


def test_a_timeline_has_all_messages_in_its_parts_and_what_people_look_for(recorder: Recorder) -> None:
    assert recorder.timeline(1000.0, 1100.0, 10).oldest is None
    marks = {10: "failure", 20: "event", 30: "death"}
    for n in range(100):
        recorder.add(Recorded(1000.0 + n, "s/x", b"{}", "a1", f"t{n}", mark=marks.get(n)))
    recorder.flush()
    found = recorder.timeline(1010.0, 1090.0, 4)
    assert (found.density, found.oldest) == ([20, 20, 20, 20], 1000.0)
    assert found.marks == [
        Mark(at=1010.0, what="failure", agent_id="a1", task_id="t10"),
        Mark(at=1030.0, what="death", agent_id="a1", task_id="t30"),
    ]
    assert sum(recorder.timeline(0.0, 5000.0, 7).density) == 100
    steps = [(1010.0, True), (1010.0, False), (1011.0, False), (1030.0, True)]
    assert [recorder.step(at, forward) for at, forward in steps] == [1020.0, None, 1010.0, None]


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[Callable[..., SqliteRecorder]]:
    made: list[SqliteRecorder] = []

    def make(**options: object) -> SqliteRecorder:
        made.append(SqliteRecorder(tmp_path / "r.db", **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for recorder in made:
        recorder.close()


def test_it_never_grows_past_its_bound(on_disk: Callable[..., SqliteRecorder]) -> None:
    bound = 2 * 1024 * 1024
    recorder, rng, most = on_disk(max_size=bound, clock=lambda: 0.0), random.Random(1), 0
    for n in range(12_000):
        recorder.add(Recorded(float(n), f"s/{n % 9}", rng.randbytes(rng.choice((50, 400, 3000))), "a", f"t{n}"))
        if n % 200 == 0:
            recorder.flush()
            most = max(most, recorder.size())
    recorder.flush()
    assert most <= bound
    rows = recorder.history(HistoryQuery(limit=10_000))
    assert rows[-1].at == 11_999.0, "the newest are kept"
    assert len(rows) > 200
    assert recorder.stats().dropped == 0


def test_a_smaller_bound_shrinks_what_is_there(on_disk: Callable[..., SqliteRecorder]) -> None:
    rng, bound = random.Random(1), 1024 * 1024
    large = on_disk(max_size=8 * bound, clock=lambda: 0.0)
    for n in range(6000):
        large.add(Recorded(float(n), "s/x", rng.randbytes(700)))
    large.close()
    assert large.size() > 4 * bound
    small = on_disk(max_size=bound, clock=lambda: 0.0)
    small.add(Recorded(6000.0, "s/x", b"new"))
    small.flush()
    assert small.size() <= bound
    rows = small.history(HistoryQuery(limit=10_000))
    assert (rows[-1].payload, rows[-2].at) == (b"new", 5999.0)
    assert len(rows) > 300


def test_a_damaged_file_is_put_aside(on_disk: Callable[..., SqliteRecorder], tmp_path: Path) -> None:
    (tmp_path / "r.db").write_bytes(b"no database at all " * 1000)
    recorder = on_disk(clock=lambda: 0.0)
    recorder.add(Recorded(1.0, "s/x", b"1"))
    recorder.flush()
    assert numbers(recorder.history(HistoryQuery())) == [1]
    assert (tmp_path / "r.db.damaged").read_bytes().startswith(b"no database")


def test_it_forgets_what_is_too_old(on_disk: Callable[..., SqliteRecorder]) -> None:
    now = [1000.0]
    recorder = on_disk(max_age=100.0, clock=lambda: now[0], commit_every=0.01)
    recorder.add(Recorded(1000.0, "s/x", b"1"))
    recorder.flush()
    now[0] = 1200.0
    recorder.add(Recorded(1200.0, "s/x", b"2"))
    until(lambda: numbers(recorder.history(HistoryQuery())) == [2], what="the old message is gone")


def test_it_goes_on_where_it_stopped_and_is_private(on_disk: Callable[..., SqliteRecorder], tmp_path: Path) -> None:
    first = on_disk(clock=lambda: 0.0)
    first.add(Recorded(1.0, "s/x", b"1"))
    first.close()
    assert (tmp_path / "r.db").stat().st_mode & 0o777 == 0o600
    assert numbers(on_disk(clock=lambda: 0.0).history(HistoryQuery())) == [1]


def test_a_database_that_fails_costs_messages_and_says_so(
    on_disk: Callable[..., SqliteRecorder], tmp_path: Path
) -> None:
    recorder = on_disk(commit_every=0.01, clock=lambda: 0.0)
    with sqlite3.connect(tmp_path / "r.db", isolation_level=None) as other:
        other.execute("DROP TABLE message")
    other.close()
    recorder.add(Recorded(1.0, "s/x", b"1"))
    recorder.flush()
    assert recorder.stats().dropped == 1
    assert recorder.history(HistoryQuery()) == []


_WRITER = """
import sys, time
from pathlib import Path
from swarm_tui.journal.db import migrate
from swarm_tui.journal.recorder import MIGRATIONS, SqliteRecorder
from swarm_tui.journal.recorder_port import Recorded
recorder = SqliteRecorder(Path(sys.argv[1]))
n = 0
while True:
    recorder.add(Recorded(time.time(), "s/x", b"%d" % n))
    if n % 20 == 0:
        print(n, time.time(), flush=True)
    n += 1
    time.sleep(0.002)
"""


def test_a_sigkill_loses_at_most_the_last_second(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    process = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said: list[tuple[int, float]] = []
        while not said or said[-1][1] - said[0][1] < 1.6:
            number, at = process.stdout.readline().split()
            said.append((int(number), float(at)))
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    recorder = SqliteRecorder(path)
    kept = numbers(recorder.history(HistoryQuery(limit=10_000)))
    recorder.close()
    assert kept == list(range(len(kept))), "no hole"
    must = max(number for number, at in said if at < said[-1][1] - 1.0)
    assert kept[-1] >= must


def test_keyframes_go_with_the_messages_they_stand_before(on_disk: Callable[..., SqliteRecorder]) -> None:
    recorder = on_disk(max_size=1024 * 1024)
    for n in range(200):
        recorder.add_keyframe(Keyframe(float(n), b"k" * 2000))
        recorder.add(Recorded(float(n), "s/x", bytes(20_000)))
    recorder.flush()
    oldest = recorder.stats().oldest
    assert oldest is not None
    assert oldest > 100
    assert recorder.keyframe(oldest - 5) is None
    assert recorder.keyframe(oldest + 5) is not None
    assert recorder.size() <= 1024 * 1024


def test_a_record_of_the_first_schema_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    db = sqlite3.connect(path)
    migrate(db, MIGRATIONS[:1])
    db.execute("INSERT INTO message (at, topic, payload) VALUES (1.0, 's/x', x'7b7d')")
    db.commit()
    db.close()
    recorder = SqliteRecorder(path, max_age=1e12)
    recorder.add(Recorded(2.0, "s/y", b"{}", retained=True))
    recorder.flush()
    assert [(row.topic, row.retained) for row in recorder.history(HistoryQuery())] == [("s/x", False), ("s/y", True)]
    recorder.close()


def test_a_full_disk_costs_what_came_meanwhile_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = SqliteRecorder(tmp_path / "r.db", commit_every=0.01, clock=lambda: 1000.0)
    fill(recorder)
    insert = recorder._insert

    def full(*_: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    for trim in (recorder._trim_size, full):
        monkeypatch.setattr(recorder, "_insert", full)
        monkeypatch.setattr(recorder, "_trim_size", trim)
        monkeypatch.setattr(recorder, "_disk_has_room", lambda trim=trim: trim is full)
        recorder.add(Recorded(2000.0, "s/x", b"7"))
        recorder.flush()
        assert recorder.failure == "database or disk is full"
        monkeypatch.setattr(recorder, "_insert", insert)
        recorder.add(Recorded(2001.0, "s/x", b"8"))
        recorder.flush()
        assert recorder.failure == ""
    stats = recorder.stats()
    assert (stats.stored, stats.dropped, stats.oldest) == (102, 2, 1000.0), "and it let nothing go that it had"
    recorder.close()
