"""`swarm-tui export` and what `replay` makes of it: bus, journal and panes of a span, whole."""

import json
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.cli import span_file
from swarm_tui.cli.group import run
from swarm_tui.cli.span_file import read_span
from swarm_tui.config.paths import StateDir, state_dir
from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.fleet.differences import Difference, differences
from swarm_tui.domain.fleet.snapshot import restored
from swarm_tui.domain.states import LIVE
from swarm_tui.journal import pane_excerpt
from swarm_tui.journal.pane_excerpt import packed
from swarm_tui.journal.pane_times import PaneTimes
from swarm_tui.journal.recorder import SqliteRecorder
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.bodies import Reply
from swarm_tui.protocol.topics import Kind
from tests.conftest import pick_port
from tests.unit.cli.test_history import message

HEAD = b'{"format":1,"swarm":"s","since":1,"until":2}'
WHOLE = {"swarm.json": HEAD, "bus.jsonl": b"", "start.snapshot": b""}
FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def state() -> StateDir:
    state = state_dir("s")
    state.create()
    recorder, now = SqliteRecorder(state.recorder), time.time()
    for n, kind, body in (
        (600, Kind.STATUS, b.Status(agent_id="a1", status="online", incarnation="i")),
        (590, Kind.TASK_NEW, b.Task(task_id="t1", type="noop")),
        (200, Kind.TASK_STARTED, b.Started(task_id="t1", agent_id="a1", attempt=1)),
        (190, Kind.TASK_COMPLETE, b.Complete(task_id="t1", agent_id="a1", attempt=1, result={"n": 1})),
        (10, Kind.BROADCAST, b.Broadcast(text="later")),
    ):
        recorder.add(message(kind, body, now - n, key="a1"))
    recorder.close()
    log, times = state.log("a1"), PaneTimes()
    for at, text in ((500, "before\n"), (195, "half \xe2\x9c"), (192, "\x93 done\n"), (5, "after\n")):
        with log.open("ab") as file:
            file.write(text.encode("latin-1"))
        times.note(log, log.stat().st_size, now - at)
    return state


def test_a_span_holds_what_was_known_said_and_printed(
    state: StateDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.swarm"
    assert run(["export", "--swarm", "s", "--from", "5m", "--to", "1m", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(file), "messages": 2, "tasks": 0, "panes": 1}
    assert file.stat().st_mode & 0o777 == 0o600
    span = read_span(file)
    assert (span.swarm, [line.topic for line in span.lines]) == ("s", ["s/tasks/started", "s/tasks/complete"])
    known = restored(span.snapshot, kept=500)
    assert (known.tasks["t1"].state, list(known.agents)) == ("queued", ["a1"])
    assert "".join(text for _, text in span.panes["a1"]) == "before\nhalf \u2713 done\n"
    cast = zipfile.ZipFile(file).read("panes/a1.cast").splitlines()
    assert json.loads(cast[0])["version"] == 2
    assert all(len(json.loads(line)) == 3 for line in cast[1:])


def test_replay_goes_on_from_what_was_known(
    state: StateDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.swarm"
    assert run(["export", "--swarm", "s", "--from", "5m", str(file)]) == 0
    assert run(["replay", str(file), "--summary"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["tasks"]["complete"] == 1
    assert [agent["agent_id"] for agent in summary["agents"]] == ["a1"]
    assert run(["replay", str(file), "--plain", "--speed", "0"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "s/tasks/started", "s/tasks/complete", "s/broadcast"
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "agents"), [("kill", 9), ("asks", 8), ("runs", 7)])
def test_an_export_of_a_real_swarm_is_read(name: str, agents: int) -> None:
    """`kill` is of an earlier wire; the others are made by tests/make_exports.py."""
    file = FIXTURES / f"{name}.swarm"
    span = read_span(file)
    assert file.stat().st_size < 300_000
    assert len([a for a in restored(span.snapshot, kept=500).agents.values() if a.state in LIVE]) == agents
    assert len(span.lines) > 50
    assert {"testing-01", "monitoring-01"} <= span.panes.keys()
    assert all(span.panes.values()), "each pane printed something"


def lived(name: str) -> tuple[Fleet, Fleet, list[Difference]]:
    """What was known when a real export begins and when it ends, and what changed meanwhile."""
    span = read_span(FIXTURES / f"{name}.swarm")
    before, after = (restored(span.snapshot, kept=500) for _ in range(2))
    for line in span.lines:
        if (event := line.heard(span.swarm)) is not None:
            after.apply(event, line.at)
    return before, after, differences(before, span.since, after)


def test_a_real_export_tells_of_asks_failures_and_what_changed_in_the_layout() -> None:
    _, after, changes = lived("asks")
    tasks = Counter((task.type, str(task.state)) for task in after.tasks.values())
    assert tasks["site.check", "dead"] == tasks["code.generate", "failed"] == tasks["code.generate", "complete"] == 1
    assert not after.asks.open
    refused = next(task for task in after.tasks.values() if task.type == "code.generate" and task.state == "failed")
    assert "nothing is pushed from here" in str(refused.error)
    layout = {(each.id, each.fact): each.words for each in changes if each.about == "layout"}
    assert layout["policy", "entry"] == "new entry: approve deployment.*; budget day 5"
    assert layout["general builder", "handler site.build timeout"] == "new handler site.build timeout: 30"
    assert layout["testing", "entry"] == "new entry: agents 1 to 2"
    assert layout["docs docs-01", "entry"] == "entry: agents 1 → gone"
    assert "docs-01" not in after.agents or after.agents["docs-01"].state not in LIVE


def test_a_real_export_tells_of_a_run_that_was_retried_and_of_a_broker_that_was_killed() -> None:
    before, after, changes = lived("runs")
    (run,) = (each for name, each in after.runs.items() if name not in before.runs)
    assert (run.workflow, run.state) == ("publish-site", "complete")
    assert [each.id for each in changes if each.about == "layout"] == []
    assert any("ended by signal 9" in each.words for each in changes if each.id == "builder"), "it was killed"
    assert {mail.text for mail in after.mails.values()} >= {"look at shop.py first"}
    span = read_span(FIXTURES / "runs.swarm")
    assert sum(line.topic.endswith("/halt") for line in span.lines) >= 2, "halted and resumed"


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        (["--from", "1m", "--to", "5m"], "nothing can be in between", 2),
        (["--from", "soon"], "no moment", 2),
        (["--swarm", "none"], "no record of none is here", 4),
    ],
)
def test_bad_usage(
    state: StateDir, words: list[str], says: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "--swarm", "s", str(tmp_path / "x"), *words]) == code
    assert says in capsys.readouterr().err
    assert run(["export", "--swarm", "s", str(tmp_path / "none" / "x")]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({}, "has no swarm.json"),
        ({"swarm.json": b"{}"}, "not the head of an export"),
        ({"swarm.json": b'{"format":9,"swarm":"s","since":1,"until":2}'}, "of format 9"),
        ({"swarm.json": HEAD}, "has no bus.jsonl"),
        ({"swarm.json": HEAD, "bus.jsonl": b"x\n"}, "bus.jsonl:1:1: not a line of a recording"),
        ({**WHOLE, "panes/a.cast": b"{}\n"}, "a.cast:1:1: not a line of an asciicast"),
        ({**WHOLE, "panes/a.cast": b'{"timestamp":1}\n[1]\n'}, "a.cast:2:1"),
        ({**WHOLE, "panes/a.cast": b"[1]\n"}, "a.cast:1:1"),
    ],
)
def test_what_is_no_export_is_named_with_its_place(
    parts: dict[str, bytes], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.swarm"
    with zipfile.ZipFile(file, "w") as out:
        for name, data in parts.items():
            out.writestr(name, data)
    assert run(["replay", str(file), "--plain"]) == 2
    assert says in (said := capsys.readouterr().err)
    assert said.count("\n") == 1


def test_a_start_that_cannot_be_read_costs_only_itself(
    state: StateDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, spoilt = tmp_path / "x.swarm", tmp_path / "y.swarm"
    assert run(["export", "--swarm", "s", "--from", "5m", str(file)]) == 0
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(spoilt, "w") as out:
        for name in source.namelist():
            out.writestr(name, b"\xc1" if name == "start.snapshot" else source.read(name))
    assert run(["replay", str(spoilt), "--summary"]) == 0
    out, err = capsys.readouterr()
    assert "what was known when it begins is left out" in err
    assert json.loads(out)["tasks"]["complete"] == 1


class FarHosts:
    """An operator whose `far` answers with the log of a1, `mute` not at all."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.asked: list[str] = []

    def query_all(self, query: str, args: dict[str, Any], timeout: float, *, enough: int) -> list[Reply]:
        self.asked.append(args["agent_id"])
        if not args["agent_id"].startswith("far"):
            return []
        rows = packed(self._log, args["since"], args["until"], args["skip"])
        return [Reply(query=query, rows=rows, source="host:far")]

    def close(self, wait: float) -> None:
        """Nothing is open."""


def test_panes_of_other_hosts_are_asked_for(
    state: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = SqliteRecorder(state.recorder)
    for name, host in (("far-1", "far"), ("m-1", "mute"), ("m-2", "mute")):
        body = b.Status(agent_id=name, status="online", incarnation="i", host=host)
        recorder.add(message(Kind.STATUS, body, time.time() - 580, key=name))
    recorder.close()
    far, file = FarHosts(state.log("a1")), tmp_path / "x.swarm"
    monkeypatch.setattr(pane_excerpt, "MOST", 4)
    monkeypatch.setattr("swarm_tui.cli.export.connect", lambda _: far)
    assert run(["export", "--swarm", "s", "--from", "5m", "--to", "1m", str(file)]) == 0
    span = read_span(file)
    assert sorted(span.panes) == ["a1", "far-1"]
    assert [text for _, text in span.panes["far-1"]] == [text for _, text in span.panes["a1"]]
    assert far.asked.count("far-1") > 1, "the rest of what one answer cannot hold"
    assert far.asked.count("m-1") + far.asked.count("m-2") == 1, "a host that is silent is asked once"
    assert capsys.readouterr().err.count("on mute: it does not answer") == 2


def test_an_export_without_a_broker_says_what_it_lacks(
    state: StateDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = SqliteRecorder(state.recorder)
    body = b.Status(agent_id="far-1", status="online", incarnation="i", host="far")
    recorder.add(message(Kind.STATUS, body, time.time() - 580, key="far-1"))
    recorder.close()
    monkeypatch.setenv("MQTT_BROKER", f"mqtt://127.0.0.1:{pick_port()}")
    assert run(["export", "--swarm", "s", "--from", "5m", str(tmp_path / "x.swarm")]) == 0
    assert "without the panes of far-1" in capsys.readouterr().err
    assert list(read_span(tmp_path / "x.swarm").panes) == ["a1"]


def test_an_export_takes_the_place_of_another_file_once_it_is_whole(
    state: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, link = tmp_path / "x.swarm", tmp_path / "link"
    file.write_text("a former one")
    file.chmod(0o644)
    link.symlink_to(file)
    asked = ["export", "--swarm", "s", "--from", "5m", "--to", "1m", str(link)]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(span_file, "_write_cast", full)
        assert run(asked) == 2
    assert "cannot be written: No space left" in capsys.readouterr().err
    assert file.read_text() == "a former one"
    assert run(asked) == 0
    assert link.is_symlink()
    assert (len(read_span(file).lines), file.stat().st_mode & 0o777) == (2, 0o600)
    assert sorted(path.name for path in tmp_path.iterdir() if "export" in path.name) == []


def test_a_damaged_export_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.swarm"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in WHOLE.items():
            out.writestr(name, data or bytes(range(256)) * 40)
    whole = file.read_bytes()
    for at in range(30, len(whole), 7):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        assert run(["replay", str(file), "--summary"]) in (0, 2)
        assert "a mistake of ours" not in capsys.readouterr().err
