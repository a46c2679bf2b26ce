"""`swarm-tui history`: the record by filters, from its file and over the bus."""

import json
import time
from pathlib import Path

import click
import pytest

from swarm_tui.cli.group import run
from swarm_tui.client.record import NoRecordError, ask_record
from swarm_tui.config.paths import state_dir
from swarm_tui.journal.recorder import SqliteRecorder
from swarm_tui.journal.recorder_port import HistoryQuery, MemoryRecorder, Recorded, recorded_of
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.bodies import JsonObject, Reply
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.topics import Kind

WRITER = Writer("s", "tm", "task-manager", new_id=lambda: "id", clock=time.time)


def message(kind: Kind, body: b.Body, at: float, key: str = "") -> Recorded:
    out = WRITER.message(kind, body, key)
    event = decode("s", out.topic, out.payload, False, at)
    assert event is not None
    return recorded_of(event, out.topic, out.payload, at)


@pytest.fixture
def record() -> Path:
    state = state_dir("s")
    state.create()
    recorder = SqliteRecorder(state.recorder)
    task, now = b.Task(task_id="t1", type="noop"), time.time()
    for row in (
        message(Kind.BROADCAST, b.Broadcast(text="old"), now - 7200),
        message(Kind.TASK_NEW, task, now - 100),
        message(Kind.INBOX, b.Inbox(task=task, attempt=1, epoch=1), now - 99, key="a1"),
        message(Kind.TASK_COMPLETE, b.Complete(task_id="t1", agent_id="a1", result={}), now - 90),
        Recorded(now - 80, "s/tasks/new", b"\xff none"),
    ):
        recorder.add(row)
    recorder.close()
    return state.recorder


@pytest.mark.parametrize(
    ("words", "topics"),
    [
        ([], ["broadcast", "tasks/new", "agents/a1/inbox", "tasks/complete", "tasks/new"]),
        (["--since", "5m"], ["tasks/new", "agents/a1/inbox", "tasks/complete", "tasks/new"]),
        (["--until", "1h"], ["broadcast"]),
        (["--task", "t1"], ["tasks/new", "agents/a1/inbox", "tasks/complete"]),
        (["--agent", "a1"], ["agents/a1/inbox", "tasks/complete"]),
        (["--topic", "tasks/#", "-n", "2"], ["tasks/complete", "tasks/new"]),
        (["--topic", "s/broadcast"], ["broadcast"]),
        (["--task", "none"], []),
    ],
)
def test_filters(record: Path, words: list[str], topics: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", "--swarm", "s", *words]) == 0
    out, err = capsys.readouterr()
    assert [line.split(" s/")[1].split()[0] for line in out.splitlines()] == topics
    assert bool(err) == (not topics)


def test_json_is_what_watch_prints(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", "--swarm", "s", "--topic", "tasks/#", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["topic"] for row in rows] == ["s/tasks/new", "s/tasks/complete", "s/tasks/new"]
    assert rows[1]["message"]["payload"]["task_id"] == "t1"
    assert rows[2]["refused"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--since", "yesterday"], "no moment"),
        (["--since", "25:00"], "no time of a day"),
        (["--since", "1m", "--until", "5m"], "later than --until"),
        (["-f", "--until", "now"], "leave one of them out"),
        (["--topic", "a/#/b"], "no topic filter"),
        (["-n", "0"], "0"),
    ],
)
def test_bad_usage(record: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", "--swarm", "s", *words]) == 2
    assert says in capsys.readouterr().err


def keeper(recorder: MemoryRecorder, page: int) -> "type[object]":
    """A record's keeper that answers at most `page` rows at once."""

    def ask(query: str, args: JsonObject, timeout: float) -> Reply | None:
        wanted = HistoryQuery(
            since=args.get("since"), until=args.get("until"), topic=args.get("topic"), limit=min(page, args["limit"])
        )
        rows = [{"at": row.at, "topic": row.topic, "payload": row.payload.decode()} for row in recorder.history(wanted)]
        return Reply(query=query, rows=[*rows, "no row"])

    return ask  # type: ignore[return-value]


@pytest.mark.parametrize("limit", [1, 7, 40, 1000])
def test_more_than_one_answer_holds_is_asked_for_bit_by_bit(limit: int) -> None:
    recorder = MemoryRecorder()
    kept = [Recorded(float(n // 3), "s/broadcast", str(n).encode()) for n in range(40)]
    for row in kept:
        recorder.add(row)
    found = ask_record(keeper(recorder, 5), HistoryQuery(limit=limit))  # type: ignore[arg-type]
    assert found == kept[-limit:]


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (None, "nobody"),
        (Reply(query="history", error="since: a number belongs there"), "a number"),
        (Reply(query="history", more=True), "in part"),
    ],
)
def test_no_answer_is_said(reply: Reply | None, says: str) -> None:
    with pytest.raises(NoRecordError, match=says):
        ask_record(lambda *_: reply, HistoryQuery())


def test_what_changed_between_two_moments(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", "--swarm", "s", "--since", "95s", "--changes"]) == 0
    assert capsys.readouterr().out.split() == ["tasks", "t1", "noop:", "queued", "→", "complete", "by", "a1"]
    assert run(["history", "--swarm", "s", "--since", "1h", "--until", "95s", "--changes", "--json"]) == 0
    (change,) = json.loads(capsys.readouterr().out)["changes"]
    assert (change["about"], change["id"], change["before"], change["after"]) == ("tasks", "t1", None, "queued")
    assert run(["history", "--swarm", "s", "--since", "5s", "--changes"]) == 0
    assert "nothing changed" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--changes"], ["--since", "1h", "--changes", "--task", "t1"]])
def test_changes_are_of_the_whole_swarm_between_two_moments(words: list[str]) -> None:
    assert run(["history", "--swarm", "s", *words]) == 2


def test_on_a_terminal_a_line_is_read_and_heartbeats_are_left_out(
    record: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = SqliteRecorder(record)
    beat = b.Heartbeat(agent_id="a1", incarnation="i", state="online")
    recorder.add(message(Kind.HEARTBEAT, beat, time.time() - 70))
    recorder.close()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    for words, beats in ([], 0), (["--topic", "#"], 1):
        assert run(["history", "--swarm", "s", *words]) == 0
        said = capsys.readouterr()
        lines = [click.unstyle(line) for line in said.out.splitlines()]
        assert max(map(len, lines)) <= 80
        assert sum("heartbeat" in line for line in lines) == beats
        assert ("1 heartbeats are left out" in said.err) is (beats == 0)
        done = next(line for line in lines if "tasks/complete" in line)
        assert "{" not in done
        assert "t1" in done
        assert any("refused" in line for line in lines)
