"""The whole agent over a bus in memory: handlers that misbehave, roles that fail, changes of dispatcher."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, ClassVar

import pytest
from msgspec import Struct

from swarm_tui.agent import housekeeping, role_thread
from swarm_tui.agent import runtime as runtime_module
from swarm_tui.agent.attempt_output import keep_prints
from swarm_tui.agent.console import Console
from swarm_tui.agent.handlers import registry
from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.process import run_process
from swarm_tui.agent.own_process import Installation
from swarm_tui.agent.roles import port
from swarm_tui.agent.runtime import AgentRuntime
from swarm_tui.bus.memory import MemoryBroker, MemoryBus
from swarm_tui.bus.port import OnAck, OnLink, OnMessage
from swarm_tui.config.model import Broker, HandlerSpec, RunSpec
from swarm_tui.domain.worker import Leader
from swarm_tui.journal.task_output import read_output
from swarm_tui.protocol.bodies import Body, Dispatcher, Inbox, Task
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event, Outgoing
from swarm_tui.protocol.topics import Kind, topic
from tests.wait import until

SWARM = "s"


class Odd(Struct):
    pass


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Stuck:
    """A path that cannot be removed."""

    def unlink(self, **_: object) -> None:
        raise PermissionError(30, "read-only")


class Wordless(HandlerError):
    """An error whose author forgot the base class, and that fails to tell its result."""

    def __init__(self) -> None:
        Exception.__init__(self, "forgot")


class Touchy(HandlerError):
    @property  # type: ignore[override]
    def result(self) -> Result | None:
        raise RuntimeError("do not look")

    @result.setter
    def result(self, value: Result | None) -> None:
        pass


class OddHandler:
    """Does what its payload says, all of it wrong."""

    Payload: ClassVar[type[Struct]] = Odd

    async def run(self, context: Context) -> Result:
        what = context.payload["what"]
        if what == "exit":
            raise SystemExit(3)
        if what == "raise":
            raise ValueError("odd\x1b[31m")
        if what == "no json":
            return {"x": object()}
        if what == "deep":
            result: Result = {}
            for _ in range(20_000):
                result = {"x": result}
            return result
        if what == "mute":
            raise Mute
        if what == "odd words":
            raise HandlerError("odd", code=404, retryable="yes")  # type: ignore[arg-type]
        if what in ("wordless", "touchy", "odd numbers", "long number", "prints"):
            return await self._more(context, what)
        if what == "stuck file":
            context.environment._written = Stuck()  # type: ignore[attr-defined]
        if what in ("half", "half and deep"):
            half: Result = {"half": object()}
            for _ in range(20_000 if what == "half and deep" else 0):
                half = {"x": half}
            await context.cancel.wait()
            raise HandlerError("stopped", result=half)
        if what == "cancels itself":
            raise asyncio.CancelledError
        if what == "deaf":
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    continue
        if what == "block":
            time.sleep(3)
        if what == "say":
            context.publish("deployment/status", {"status": "building", "progress": 50})
            context.publish("halt", {"reason": "mine"})
        if what == "silent":
            await context.cancel.wait()
            raise HandlerError("stopped", result={"half": 1})
        return {"done": what}

    async def _more(self, context: Context, what: str) -> Result:
        if what == "wordless":
            raise Wordless
        if what == "touchy":
            raise Touchy("touchy")
        if what == "odd numbers":
            return {"loss": [1.0, {"last": float("nan")}], "n": 1}
        if what == "long number":
            return {"n": 10**400}
        if what == "prints":
            print("printed, and a not-to-be-told", end="")
            print(" secret")
            await asyncio.to_thread(print, "from a thread")
            context.log("logged")
            done = await run_process(context, ["sh", "-c", "echo out not-to-be-told; echo err >&2; exit 3"])
            raise KeyError(done.returncode)
        raise AssertionError(what)


class Pump:
    """Delivers all that is said on one thread, as a broker does: a memory broker by itself answers in the caller's."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, call: Callable[[], None]) -> None:
        self._calls.put(call)

    def drain(self) -> None:
        done = threading.Event()
        self._calls.put(done.set)
        assert done.wait(10)

    def close(self) -> None:
        self._calls.put(None)
        self._thread.join(10)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


class PumpedBus(MemoryBus):
    """A bus whose messages go through the pump."""

    def __init__(self, broker: MemoryBroker, client_id: str, pump: Pump) -> None:
        super().__init__(broker, client_id)
        self.pump = pump

    def publish(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        self.pump.put(lambda: MemoryBus.publish(self, message, on_ack))

    def subscribe(self, pattern: str, qos: int = 1, *, own: bool = True) -> None:
        self.pump.put(lambda: MemoryBus.subscribe(self, pattern, qos))

    def start(self, on_message: OnMessage, on_link: OnLink) -> None:
        self.pump.put(lambda: MemoryBus.start(self, on_message, on_link))

    def close(self, wait: float = 2.0) -> None:
        self.pump.drain()
        super().close(wait)


class World:
    """A broker in memory with one agent on it, and a hand that plays the dispatcher."""

    def __init__(self, tmp_path: Path) -> None:
        self.broker = MemoryBroker()
        self.tmp_path = tmp_path
        self.writer = Writer(SWARM, "tm", "task-manager", new_id=self._id, clock=time.time)
        self.pump = Pump()
        self.hand = PumpedBus(self.broker, "hand", self.pump)
        self.hand.start(lambda *_: None, lambda link: None)
        self.agents: list[AgentRuntime] = []
        self._ids = 0

    def _id(self) -> str:
        self._ids += 1
        return f"id{self._ids}"

    def agent(self, role: str = "general", **more: Any) -> AgentRuntime:
        handlers = {"odd": HandlerSpec(**more.pop("handler", {}))}
        spec = RunSpec(
            agent_id="w", role=role, swarm=SWARM, broker=Broker(), workdir=str(self.tmp_path),
            state_dir=str(self.tmp_path / "state"), handlers=handlers, **more,
        )  # fmt: skip
        made = AgentRuntime(spec, PumpedBus(self.broker, "w", self.pump), Console(silent=True))
        self.agents.append(made)
        made.start()
        until(lambda: self.heard(Kind.REGISTER))
        return made

    def say(self, kind: Kind, body: Body, key: str = "") -> None:
        self.hand.publish(self.writer.message(kind, body, key))

    def lead(self, epoch: int = 1) -> None:
        self.say(Kind.DISPATCHER, Dispatcher(instance="d", epoch=epoch))

    def offer(self, task_id: str, what: str, **task: Any) -> None:
        given = Task(task_id=task_id, type="odd", payload={"what": what}, **task)
        self.say(Kind.INBOX, Inbox(task_id=task_id, attempt=1, epoch=1, lease=30.0, task=given), "w")

    def heard(self, kind: Kind, **fields: Any) -> list[Event]:
        return self.since(0, kind, **fields)

    def since(self, count: int, kind: Kind, **fields: Any) -> list[Event]:
        """Return what was said of the kind after the first `count` messages, in its order."""
        events = [decode(SWARM, m.topic, m.payload, False, 0.0) for m in list(self.broker.published)[count:]]
        return [
            e
            for e in events
            if isinstance(e, Event) and e.kind is kind and all(e.payload.get(n) == v for n, v in fields.items())
        ]

    def wait(self, kind: Kind, limit: float = 10.0, **fields: Any) -> dict[str, Any]:
        until(lambda: self.heard(kind, **fields), limit, f"{kind.value} {fields}")
        return self.heard(kind, **fields)[0].payload


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setitem(registry.BUILTIN, "odd", f"{__name__}:OddHandler")
    monkeypatch.setattr("swarm_tui.agent.runtime.STOP_WAIT", 0.05)
    monkeypatch.setattr("swarm_tui.agent.runtime.LEAVE_WAIT", 0.5)
    made = World(tmp_path)
    made.lead()
    yield made
    for agent in made.agents:
        agent.reporter.leave("the test is over", 0)
        agent.close()
    made.pump.close()


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("exit", "crashed"),
        ("raise", "crashed"),
        ("no json", "bad-result"),
        ("say", "crashed"),
        ("deep", "bad-result"),
        ("cancels itself", "crashed"),
        ("mute", "crashed"),
        ("odd words", "404"),
        ("wordless", "failed"),
        ("touchy", "crashed"),
        ("odd numbers", "bad-result"),
        ("long number", "bad-result"),
    ],
)
def test_a_handler_that_misbehaves_fails_its_task_and_nothing_else(
    world: World, what: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With a secret to keep, results are walked before they are encoded.
    monkeypatch.setenv("SOME_TOKEN", "not-to-be-told")
    world.agent()
    world.offer("bad", what)
    failed = world.wait(Kind.TASK_FAILED, task_id="bad")
    assert failed["error"]["code"] == code
    # What had been done by then is not known: a task that must not run twice is held over it.
    assert failed.get("cause") == ("crashed" if code == "crashed" else None)
    world.offer("good", "nothing")
    assert world.wait(Kind.TASK_COMPLETE, task_id="good")["result"] == {"done": "nothing"}
    assert not world.heard(Kind.HALT)
    if what == "say":
        assert world.wait(Kind.DEPLOYMENT_STATUS)["task_id"] == "bad"


@pytest.mark.parametrize(
    ("what", "place"), [("odd numbers", "nan at `result.loss[1].last`"), ("long number", "`result.n`")]
)
def test_a_number_that_no_reader_takes_is_refused_with_its_place(world: World, what: str, place: str) -> None:
    world.agent()
    world.offer("t", what)
    assert place in world.wait(Kind.TASK_FAILED, task_id="t")["error"]["message"]


def test_all_that_is_printed_for_a_task_is_kept_without_secrets(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "not-to-be-told")
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    keep_prints()
    world.agent()
    world.offer("t", "prints")
    world.wait(Kind.TASK_FAILED, task_id="t")
    page = read_output(world.tmp_path / "state" / "tasks", "t")
    assert page is not None
    assert page.ended
    lines = page.text.splitlines()
    assert lines[:3] == ["printed, and a *** secret", "from a thread", "logged"]
    assert lines[3].startswith("$ sh -c ")
    assert {"out ***", "err"} <= set(lines)
    assert "KeyError: 3" in lines
    assert any("(exit status 3" in line for line in lines)
    assert "from a thread" in capsys.readouterr().out
    # A task that prints nothing has no file.
    world.offer("u", "nothing")
    world.wait(Kind.TASK_COMPLETE, task_id="u")
    assert read_output(world.tmp_path / "state" / "tasks", "u") is None


def test_an_agent_of_an_old_installation_says_so_and_leaves_what_it_cannot_load(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "init.py"
    package.write_text('__version__ = "0.1.0"\n')
    registry._class_of.cache_clear()
    monkeypatch.setitem(registry.BUILTIN, "odd", "swarm_tui.no_such_module:Handler")
    agent = world.agent()
    agent.work.installation = Installation(package)
    world.offer("young", "nothing")
    failed = world.wait(Kind.TASK_FAILED, task_id="young")
    assert (failed["error"]["code"], failed["retryable"]) == ("broken-handler", False)
    assert not agent.reporter.leaving.is_set()
    package.write_text('__version__ = "0.2.0"\n\n')
    agent._beat()
    until(lambda: "0.2.0 is installed" in (world.heard(Kind.STATUS)[-1].payload.get("trouble") or ""), what="its word")
    world.offer("old", "nothing")
    failed = world.wait(Kind.TASK_FAILED, task_id="old")
    assert "0.2.0 is installed" in failed["error"]["message"]
    assert failed["retryable"] is True
    assert agent.reporter.leaving.wait(5)
    assert agent.reporter.exit_code == 1


def test_a_task_ends_though_the_agents_own_modules_do_not_load(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = world.agent()
    monkeypatch.setitem(sys.modules, "swarm_tui.agent.executor", None)
    world.offer("t", "nothing")
    failed = world.wait(Kind.TASK_FAILED, task_id="t")
    assert "do not load" in failed["error"]["message"]
    monkeypatch.undo()
    monkeypatch.setitem(registry.BUILTIN, "odd", f"{__name__}:OddHandler")
    assert not agent.work.attempts()
    world.offer("u", "nothing")
    world.wait(Kind.TASK_COMPLETE, task_id="u")


def test_a_disk_that_stands_still_holds_no_heartbeat_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work's lock is held while its journal is written."""
    agent = world.agent()
    world.offer("t", "silent")
    world.wait(Kind.TASK_STARTED, task_id="t")
    release, held = threading.Event(), threading.Event()

    def stand_still() -> None:
        with agent.work._lock:
            held.set()
            release.wait(10)

    thread = threading.Thread(target=stand_still)
    thread.start()
    assert held.wait(10)
    told: list[Any] = []
    beat = threading.Thread(target=lambda: told.append(agent.work.held()), daemon=True)
    beat.start()
    beat.join(5)
    release.set()
    thread.join()
    assert [(one["state"], [lease["task_id"] for lease in one["tasks"]]) for one in told] == [("busy", ["t"])]


def test_a_task_whose_file_cannot_be_removed_ends_all_the_same(world: World) -> None:
    world.agent()
    world.offer("t", "stuck file")
    assert world.wait(Kind.TASK_COMPLETE, task_id="t")["result"] == {"done": "stuck file"}


@pytest.mark.parametrize("what", ["half", "half and deep"])
def test_what_stopped_it_is_told_though_its_partial_result_cannot_be(
    world: World, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the cause a cancelled or interrupted task would be taken for one that failed by itself."""
    monkeypatch.setenv("SOME_TOKEN", "not-to-be-told")
    agent = world.agent()
    world.offer("t", what)
    agent.work.stop(until(agent.work.attempts)[0], "interrupted")
    failed = world.wait(Kind.TASK_FAILED, task_id="t")
    assert (failed["cause"], failed["error"]["code"], failed["retryable"]) == ("interrupted", "interrupted", True)
    assert failed.get("result") is None


@pytest.mark.parametrize(
    ("how", "cause"), [("kill -KILL $$", "killed"), ("sh -c 'kill -KILL $$'; exit $?", "killed"), ("exit 3", None)]
)
def test_a_program_that_a_signal_ended_may_have_stopped_halfway(world: World, how: str, cause: str | None) -> None:
    world.agent(handler={"command": ["/bin/sh", "-c", how]})
    world.offer("t", "x")
    failed = world.wait(Kind.TASK_FAILED, task_id="t")
    assert (failed.get("cause"), failed["retryable"]) == (cause, True)


def test_a_payload_that_does_not_fit_fails_before_it_runs(world: World) -> None:
    world.agent()
    body = Task(task_id="t", type="no.such", payload={})
    world.say(Kind.INBOX, Inbox(task_id="t", attempt=1, epoch=1, task=body), "w")
    assert world.wait(Kind.TASK_DECLINED)["reason"] == "cannot do no.such"


def test_a_handler_that_hears_nothing_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CANCEL_WAIT", "TERM_WAIT", "KILL_WAIT"):
        monkeypatch.setattr(f"swarm_tui.agent.executor.{name}", 0.05)
    monkeypatch.setattr("swarm_tui.agent.executor.Executor.stop.__defaults__", (0.05,))
    world.agent()
    world.offer("t", "deaf", timeout=0.1)
    failed = world.wait(Kind.TASK_FAILED, task_id="t")
    assert (failed["error"]["code"], failed["cause"]) == ("stuck", "timeout")


def test_a_handler_that_blocks_its_agent_is_reported_and_the_agent_leaves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_module, "STUCK_AFTER", 0.2)
    monkeypatch.setattr(runtime_module, "LOOK_EVERY", 0.1)
    agent = world.agent()
    world.offer("t", "block", timeout=0.1)
    assert world.wait(Kind.TASK_FAILED, task_id="t")["error"]["code"] == "stuck"
    assert agent.reporter.leaving.wait(5)
    assert agent.reporter.exit_code == 1
    beats = len(world.heard(Kind.HEARTBEAT))
    world.say(Kind.INBOX, Inbox(command="ping"), "w")
    until(lambda: len(world.heard(Kind.HEARTBEAT)) == beats + 1)


def test_silent_work_is_ended_when_the_layout_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_module, "LOOK_EVERY", 0.05)
    world.agent(handler={"options": {"silent_after": 0.2}})
    world.offer("t", "silent")
    failed = world.wait(Kind.TASK_FAILED, task_id="t")
    assert (failed["cause"], failed["result"]) == ("silent", {"half": 1})


def test_a_dispatcher_that_leaves_and_comes(world: World) -> None:
    agent = world.agent()
    world.say(Kind.TASK_NEW, Task(task_id="led", type="odd", payload={"what": "x"}))
    world.pump.drain()
    assert not world.heard(Kind.TASK_ASSIGNED)
    world.hand.publish(world.writer.clear(Kind.DISPATCHER))
    until(lambda: agent.work.core.leader is Leader.NONE)
    world.pump.drain()
    world.say(Kind.TASK_NEW, Task(task_id="free", type="odd", payload={"what": "x"}))
    world.wait(Kind.TASK_COMPLETE, task_id="free")
    world.lead(epoch=2)
    world.say(Kind.TASK_NEW, Task(task_id="led-again", type="odd", payload={"what": "x"}))
    world.pump.drain()
    assert {e.payload["task_id"] for e in world.heard(Kind.TASK_ASSIGNED)} == {"free"}
    assert agent.work.core.epoch == 2


def test_it_registers_again_after_a_gap(world: World) -> None:
    agent = world.agent()
    bus: Any = agent.reporter.bus
    world.pump.put(bus.drop)
    until(lambda: world.heard(Kind.STATUS, status="offline"))
    world.pump.put(bus.restore)
    until(lambda: len(world.heard(Kind.REGISTER)) == 2)
    assert [e.payload["status"] for e in world.heard(Kind.STATUS)][-1] == "online"


@pytest.mark.parametrize(("command", "word"), [("drain", "draining"), ("undrain", "online")])
def test_that_it_drains_is_retained_before_its_heartbeat_says_so(world: World, command: str, word: str) -> None:
    agent = world.agent()
    world.wait(Kind.STATUS, status="online")
    if command == "undrain":
        agent.work.drain("the test asks")
        world.wait(Kind.HEARTBEAT, state="draining")
    before = len(world.broker.published)
    world.say(Kind.INBOX, Inbox(command=command), "w")
    until(lambda: world.since(before, Kind.HEARTBEAT, state=word), 5.0, f"a heartbeat after {command}")
    topics = [message.topic for message in world.broker.published[before:]]
    status, heartbeat = topic(SWARM, Kind.STATUS, "w"), topic(SWARM, Kind.HEARTBEAT)
    assert topics.index(status) < topics.index(heartbeat)
    assert world.since(before, Kind.STATUS)[0].payload["status"] == word


class Fragile:
    """A role's service in which everything fails."""

    complaint = ""

    def __init__(self, spec: RunSpec, link: port.RoleLink) -> None:
        self.link = link

    def start(self) -> None:
        self.link.bus.subscribe(f"{SWARM}/#")

    def _fail(self, *_: object) -> None:
        raise RuntimeError("the service is broken")

    on_event: Callable[..., None] = _fail
    on_link: Callable[..., None] = _fail
    tick: Callable[..., None] = _fail
    close: Callable[..., None] = _fail


def test_an_agent_removes_old_results_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "FIRST", 0.05)
    path = world.tmp_path / "state" / "results" / "old-1.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    os.utime(path, (1.0, 1.0))
    world.agent()
    until(lambda: not path.exists())


def test_a_role_that_fails_takes_nothing_with_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(port.SERVICES, "fragile", f"{__name__}:Fragile")
    world.agent(role="fragile")
    world.offer("t", "x")
    assert world.wait(Kind.TASK_COMPLETE, task_id="t")["agent_id"] == "w"


class Lacking(Fragile):
    """A service that says what it lacks, until it has it."""

    def tick(self, now: float) -> None:
        self.complaint = "" if self.complaint else "no door on 8080: another program has it"

    def on_event(self, event: object) -> None:
        pass

    on_link = close = on_event  # type: ignore[assignment]


def test_what_a_role_lacks_is_retained_until_it_has_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(port.SERVICES, "lacking", f"{__name__}:Lacking")
    monkeypatch.setattr(role_thread, "TICK_EVERY", 0.4)
    world.agent(role="lacking")
    world.wait(Kind.STATUS, trouble="no door on 8080: another program has it")
    before = len(world.broker.published)
    until(lambda: any("trouble" not in event.payload for event in world.heard(Kind.STATUS)[1:]), 5.0, "it is mended")
    assert len(world.broker.published) > before


def test_a_service_that_fails_is_told_in_the_retained_status(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(port.SERVICES, "fragile", f"{__name__}:Fragile")
    monkeypatch.setattr(role_thread, "TICK_EVERY", 0.05)
    world.agent(role="fragile")
    world.wait(Kind.STATUS, trouble="the fragile service failed: RuntimeError: the service is broken")


@pytest.mark.parametrize("role", ["task-manager", "monitoring", "api-gateway"])
def test_the_roles_services_are_there(role: str) -> None:
    factory = port.service_for(role)
    assert factory is not None
    for name in ("start", "on_event", "on_link", "tick", "close"):
        assert callable(getattr(factory, name)), name
    assert port.service_for("general") is None
