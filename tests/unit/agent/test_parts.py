"""The agent's small parts: its journal, its results, its words, its clockwork."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.agent.clock_threads import HeartbeatThread, TimerThread
from swarm_tui.agent.command_line import UsageError, parse
from swarm_tui.agent.console import Broadcasts, Console
from swarm_tui.agent.large_results import fitted
from swarm_tui.agent.lock import HeldError, take
from swarm_tui.agent.own_process import UsageMeter
from swarm_tui.agent.process_groups import ProcessGroups, end_left_behind, start_time
from swarm_tui.agent.redact import Redactor
from swarm_tui.agent.running_attempt import RunningAttempt, timeout_of, trace_parent
from swarm_tui.agent.worker_journal import WorkerJournal
from swarm_tui.agent.worker_shell import told
from swarm_tui.config.model import Broker, HandlerSpec, RunSpec, TypeRule
from swarm_tui.domain.worker.actions import Answer, HeldLease, Save
from swarm_tui.protocol.bodies import Complete, Failed, Task
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from tests.wait import until

WRITER = Writer("s", "w", "general", new_id=lambda: "m", clock=lambda: 0.0)


def lease(task_id: str = "t", **task: Any) -> HeldLease:
    return HeldLease(task=Task(task_id=task_id, type="noop", **task), attempt=1, epoch=1)


def save(what: Any, task_id: str = "t", attempt: int = 1, **more: Any) -> Save:
    return Save(what=what, task_id=task_id, attempt=attempt, **more)


def answer(task_id: str = "t", **body: Any) -> Answer:
    complete = Complete(task_id=task_id, agent_id="w", attempt=1, epoch=1, **body)
    return Answer(kind=Kind.TASK_COMPLETE, body=complete, message_id="m1")


# -- the journal


def test_the_journal_gives_back_what_was_not_dealt_with(tmp_path: Path) -> None:
    journal = WorkerJournal(tmp_path / "w.journal")
    journal.open()
    journal.save(save("offer", "ran"))
    journal.save(save("offer", "ended", epoch=1))
    journal.save(save("answer", "ended", answer=answer("ended", result={"a": [1]})))
    journal.save(save("offer", "acked"))
    journal.save(save("answer", "acked", answer=answer("acked")))
    journal.save(save("done", "acked"))
    journal.group(lease("ran"), 4711, "boot:1")
    journal.group(lease("ran"), 4712, "boot:2")
    journal.gone(4712)
    # The process dies here: nothing is closed.
    left = WorkerJournal(tmp_path / "w.journal").open()
    assert left.owed == [answer("ended", result={"a": [1]})]
    assert [entry.task_id for entry in left.unfinished] == ["ran"]
    assert [(entry.pid, entry.started) for entry in left.groups] == [(4711, "boot:1")]


def test_what_a_full_disk_cut_off_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = WorkerJournal(tmp_path / "w.journal")
    journal.open()
    real, written = os.write, []

    def full(handle: int, data: bytes) -> int:
        if written:
            raise OSError(28, "No space left on device")
        written.append(real(handle, bytes(data)[:10]))
        return 10

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        journal.save(save("offer", "cut"))
    assert journal.failure == "No space left on device"
    journal.save(save("offer", "next"))
    assert journal.failure is None
    journal.close()
    left = WorkerJournal(tmp_path / "w.journal").open()
    assert [entry.task_id for entry in left.unfinished] == ["cut", "next"]


@given(st.binary(max_size=200), st.integers(0, 400))
def test_a_torn_or_foreign_journal_is_read_as_far_as_it_goes(tmp_path_factory: Any, junk: bytes, cut: int) -> None:
    path = tmp_path_factory.mktemp("j") / "w.journal"
    journal = WorkerJournal(path)
    journal.open()
    journal.save(save("answer", answer=answer()))
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole + junk + whole[:cut])
    assert answer() in WorkerJournal(path).open().owed or b"\n" not in junk


def test_the_journal_is_compacted_and_stays_private(tmp_path: Path) -> None:
    path = tmp_path / "w.journal"
    journal = WorkerJournal(path)
    journal.open()
    journal.save(save("answer", "kept", answer=answer("kept")))
    for n in range(30):
        journal.save(save("answer", f"t{n}", answer=answer(f"t{n}", result="x" * 100_000)))
        journal.save(save("done", f"t{n}"))
    assert path.stat().st_size < 1_200_000
    assert path.stat().st_mode & 0o777 == 0o600
    assert [a.body.task_id for a in WorkerJournal(path).open().owed] == ["kept"]


def test_a_full_disk_is_told_and_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = WorkerJournal(tmp_path / "w.journal")
    journal.open()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    journal.save(save("offer"))
    assert journal.failure == "No space left on device"


# -- results


@pytest.mark.parametrize("result", [None, {}, {"a": "ü" * 1000}, [1, 2, {"deep": [[]]}], "text"])
def test_a_small_result_travels_as_it_is(tmp_path: Path, result: Any) -> None:
    given_answer = Complete(task_id="t", agent_id="w", attempt=1, result=result)
    assert fitted(given_answer, WRITER, tmp_path) is given_answer


DEEP: list[Any] = []
for _ in range(40):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "result", ["x" * 140_000, list(range(20_000)), DEEP, {"verdict": "failed", "list": [0] * 20_000}]
)
def test_a_result_that_readers_would_refuse_becomes_a_file(tmp_path: Path, result: Any) -> None:
    named = fitted(Complete(task_id="t:1", agent_id="w", attempt=2, result=result), WRITER, tmp_path / "results")
    assert isinstance(named.result, dict)
    path = Path(named.result["file"])
    assert msgspec.json.decode(path.read_bytes()) == result
    assert path.stat().st_size == named.result["size"]
    said = WRITER.message(Kind.TASK_COMPLETE, named)
    assert isinstance(decode("s", said.topic, said.payload, False, 0.0), Event)
    if isinstance(result, dict):
        assert named.result["verdict"] == "failed"


@pytest.mark.parametrize("result", [object(), {"a": {1, 2}.__iter__()}, "\ud800"])
def test_a_result_that_is_no_json_is_a_failure_that_says_so(tmp_path: Path, result: Any) -> None:
    failed = fitted(Complete(task_id="t", agent_id="w", attempt=1, epoch=2, result=result), WRITER, tmp_path)
    assert isinstance(failed, Failed)
    assert (failed.error.code, failed.epoch) == ("bad-result", 2)


# -- words


def test_secrets_are_blanked_wherever_they_stand() -> None:
    redact = Redactor(
        {"MY_TOKEN": "abcdef", "DB_PASSWORD": "abcdefgh", "SHORT_SECRET": "abc", "HOME": "/root"}, ["brokerpw"]
    )
    assert redact.text("abcdefgh abcdef abc /root brokerpw") == "*** *** abc /root ***"
    assert redact.value({"k-abcdef": ["abcdef", 1, None]}) == {"k-***": ["***", 1, None]}


def test_the_console_cleans_and_never_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.say("bad \x1b[31m text\nsecond", "✅")
    for _ in range(3000):
        console.say("flood")
    console.close()
    out = capsys.readouterr().out
    assert out.startswith("✅ bad ␛[31m text␊second\n")
    assert "\x1b" not in out


def test_what_is_called_out_is_shown_a_few_at_a_time_and_the_rest_is_counted() -> None:
    said: list[str] = []
    notices = Broadcasts(lambda line, mark: said.append(line))
    due = [notices.show(f"line {number}", 100.0) for number in range(25)]
    assert said == [f"line {number}" for number in range(10)]
    assert due == [None] * 10 + [110.0] * 15
    assert notices.tick(109.9) == 110.0
    assert notices.tick(110.0) is None
    assert said[10].startswith("15 more like these were not shown")
    assert notices.show("later", 111.0) is None
    assert said[11:] == ["later"]


def test_a_terminal_that_takes_nothing_holds_nobody_up() -> None:
    code = (
        "import os, sys, time\n"
        "from swarm_tui.agent.console import Console\n"
        "c = Console(); t = time.monotonic()\n"
        "for n in range(5000): c.say('x' * 100)\n"
        "c.close(0.2); os.write(2, b'%.2f' % (time.monotonic() - t)); os._exit(0)\n"
    )
    done = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.stderr is not None
    assert done.stdout is not None
    with done.stderr, done.stdout:
        took = float(done.stderr.read())  # Nobody reads its stdout meanwhile.
        done.wait(10)
    assert took < 3.0


@pytest.mark.parametrize(
    ("argv", "words"),
    [(["x"], "no option"), (["--nope"], "no option"), (["--role"], "needs a value"), (["--mqtt=1"], "takes no value")],
)
def test_command_lines_that_are_none(argv: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse(argv)


def test_command_lines() -> None:
    options = parse(["--role=testing", "--agent-id", "a", "--take-over", "--spec", "f"])
    assert (options.role, options.agent_id, options.take_over, options.spec) == ("testing", "a", True, "f")


# -- attempts


def spec_of(tmp_path: Path, **more: Any) -> RunSpec:
    return RunSpec(
        agent_id="w", role="general", swarm="s", broker=Broker(), workdir="/", state_dir=str(tmp_path), **more
    )


def test_whose_timeout_counts(tmp_path: Path) -> None:
    rule = {"noop": TypeRule(timeout=70.0)}
    assert timeout_of(spec_of(tmp_path), lease()) == 900.0
    assert timeout_of(spec_of(tmp_path, types=rule), lease()) == 70.0
    assert timeout_of(spec_of(tmp_path, types=rule, handlers={"noop": HandlerSpec(timeout=60.0)}), lease()) == 60.0
    assert timeout_of(spec_of(tmp_path, types=rule), lease(timeout=5.0)) == 5.0


def test_the_task_file_is_written_when_it_is_asked_for(tmp_path: Path) -> None:
    attempt = RunningAttempt(lease(payload={"a": 1}), spec_of(tmp_path))
    assert not list(tmp_path.rglob("*.json"))
    path = Path({**attempt.environment}["SWARM_TASK_FILE"])
    assert msgspec.json.decode(path.read_bytes())["payload"] == {"a": 1}
    assert path.stat().st_mode & 0o777 == 0o600
    attempt.environment.remove()
    assert not path.exists()


def test_the_trace_is_the_publishers() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    assert trace_parent(lease(traceparent=f"00-{trace}-b7ad6b7169203331-01")).split("-")[1] == trace
    made = trace_parent(lease(traceparent="nonsense")).split("-")
    assert [len(part) for part in made] == [2, 32, 16, 2]


# -- processes


def test_a_group_is_ended_only_if_it_is_still_the_one() -> None:
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    started = start_time(child.pid)
    assert not end_left_behind(child.pid, "another-boot:1")
    assert child.poll() is None
    assert end_left_behind(child.pid, started)
    assert child.wait(5) == -signal.SIGKILL
    assert not end_left_behind(child.pid, started)


def test_the_guardian_ends_what_its_agent_leaves(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "from swarm_tui.agent.process_groups import ProcessGroups\n"
        "g = ProcessGroups('/s', 'w')\n"
        "kids = [subprocess.Popen(['sleep', '60'], start_new_session=True) for _ in range(3)]\n"
        "for kid in kids: g.watch(kid.pid, 'a1')\n"
        "g.release(kids[2].pid); print(*[kid.pid for kid in kids], flush=True); time.sleep(60)\n"
    )
    agent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert agent.stdout is not None
    with agent.stdout:
        first, second, released = map(int, agent.stdout.readline().split())
    agent.kill()
    agent.wait()
    until(lambda: not start_time(first) and not start_time(second), what="the end of both groups")
    assert start_time(released)
    os.kill(released, signal.SIGKILL)


def test_a_guardian_that_is_not_needed_leaves_in_peace() -> None:
    groups = ProcessGroups("/s", "w")
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    groups.watch(child.pid, "a1")
    groups.close()
    assert child.poll() is None
    child.kill()
    child.wait()


def test_the_lock(tmp_path: Path) -> None:
    held = take(tmp_path / "l" / "w", "w")
    with pytest.raises(HeldError, match=f"pid {os.getpid()}"):
        take(tmp_path / "l" / "w", "w", wait=0.0)
    os.close(held)
    os.close(take(tmp_path / "l" / "w", "w", wait=0.0))


# -- the clockwork


def test_the_heart_beats_whatever_else_hangs() -> None:
    beats = threading.Semaphore(0)
    heart = HeartbeatThread(lambda: beats.release(), every=0.01)
    heart.start()
    for _ in range(3):
        assert beats.acquire(timeout=5)
    heart.close()


def test_the_timer_wakes_for_the_earliest_and_not_between() -> None:
    ticks: list[float] = []
    timer = TimerThread(lambda now: ticks.append(now))
    timer.start()
    begun = time.monotonic()
    timer.wake_at(begun + 60)
    timer.wake_at(begun + 0.05)
    until(lambda: ticks)
    assert ticks[0] >= begun + 0.05
    assert len(ticks) == 1
    timer.close()


def test_vitals() -> None:
    vitals = UsageMeter().look()
    assert vitals.rss is not None
    assert vitals.rss > 5_000_000
    assert vitals.uptime >= 0


def test_the_clockwork_goes_on_whatever_a_beat_or_a_tick_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarm_tui.agent.clock_threads.AFTER_FAILURE", 0.001)
    calls = {"beat": 0, "tick": 0}

    def fail(what: str) -> Any:
        calls[what] += 1
        raise OSError(what)

    heart, timer = HeartbeatThread(lambda: fail("beat"), 0.001), TimerThread(lambda now: fail("tick"))
    heart.start()
    timer.start()
    timer.wake_at(0.0)
    until(lambda: min(calls.values()) > 3)
    heart.close()
    timer.close()
    assert heart.failures >= 3
    assert timer.failures >= 3


def test_an_agent_tells_of_work_that_came_out_badly_as_such() -> None:
    result = {"verdict": "failed", "failed": 1, "passed": 1}
    said = [
        told(Complete(task_id="t", agent_id="w", attempt=1, duration=1300.0, result=came))
        for came in (result, {"verdict": "passed", "passed": 2})
    ]
    assert said == [("t complete in 1.3 s, its verdict is failed: 1 failed, 1 passed", "❌"), ("t in 1.3 s", "✅")]
