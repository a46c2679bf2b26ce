"""A door on a free port over a bus in memory, with somebody who dispatches."""

import http.client
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from swarm_tui.agent.roles.api_gateway.role import ApiGateway
from swarm_tui.bus.memory import MemoryBroker, MemoryBus
from swarm_tui.config.model import Broker, RunSpec
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.ask_bodies import AskAnswer, AskRecorded
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event, Outgoing
from swarm_tui.protocol.mail_bodies import MessageAccepted, MessageNew, MessageRejected
from swarm_tui.protocol.rows import Hop, ScheduleRow, TaskRow
from swarm_tui.protocol.run_bodies import RunAct, RunEnded, RunNew, RunRejected, RunStarted, ScheduleAct
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind as K
from swarm_tui.protocol.topics import everything

SWARM = "opencto-dev"


class Voice:
    """Speaks on the bus as anybody."""

    def __init__(self, broker: MemoryBroker, name: str) -> None:
        ids = itertools.count()
        self.bus = MemoryBus(broker, name)
        self.writer = Writer(SWARM, name, "general", new_id=lambda: f"{name}-{next(ids)}", clock=time.time)
        self.lines: list[str] = []
        self.swarm, self.incarnation, self.take_over = SWARM, "i", False

    def say(self, kind: K, body: b.Body, key: str = "") -> None:
        self.bus.publish(self.writer.message(kind, body, key))

    # The agent as its role sees it.

    def publish(self, message: Outgoing, on_ack: Any = None) -> None:
        self.bus.publish(message, on_ack)

    def now(self) -> float:
        return time.time()

    def log(self, line: str) -> None:
        self.lines.append(line)

    def leave(self, reason: str, exit_code: int = 1) -> None:
        raise AssertionError(reason)


class Dispatcher(Voice):
    """Accepts tasks by the rules a publisher can see, and answers `tasks` and `task`."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker, "tm")
        self.known: dict[str, b.Task] = {}
        self.keys: dict[str, str] = {}
        self.silent = False
        self.answered: dict[str, AskRecorded] = {}
        self.letters: list[tuple[str, MessageNew]] = []
        self.used: list[Any] = []
        self.acts: list[tuple[str, RunAct]] = []
        self.runs: dict[str, str] = {}
        self.schedules: dict[str, ScheduleRow] = {}
        self.bus.subscribe(everything(SWARM))
        self.bus.start(self._heard, lambda _: None)
        self.say(K.DISPATCHER, b.Dispatcher(instance="x", epoch=1, agent_id="tm"))

    def _run(self, body: RunNew) -> None:
        if body.workflow.get("steps"):
            self.runs[body.run_id] = "running"
            self.say(K.RUN_STARTED, RunStarted(run_id=body.run_id, workflow="w", steps={"a": "noop"}))
        else:
            self.say(K.RUN_REJECTED, RunRejected(run_id=body.run_id, reason="steps: a workflow has at least one step"))

    def _act(self, event: Event, body: RunAct) -> None:
        """Cancel what runs, do again what does not."""
        self.acts.append((event.sender, body))
        cancels, runs = event.kind is K.RUN_CANCEL, self.runs.get(body.run_id) == "running"
        if cancels is not runs:
            what = f"{'cancel' if cancels else 'retry'} of the run {body.run_id}"
            message = f"{what} was refused: it is {self.runs.get(body.run_id)}"
            self.say(K.ALERT, b.Alert(message=message, name=f"act:{event.id}"))
            return
        self.runs[body.run_id] = "cancelled" if cancels else "running"
        if cancels:
            self.say(K.RUN_ENDED, RunEnded(run_id=body.run_id, workflow="w", outcome="cancelled"))
        else:
            self.say(K.RUN_STARTED, RunStarted(run_id=body.run_id, workflow="w", steps={"a": "noop"}))

    def _schedule(self, event: Event, body: ScheduleAct) -> None:
        row = self.schedules[body.name]
        if body.act == "fire" and row.paused:
            self.say(K.ALERT, b.Alert(message="fire of the schedule was refused: no", name=f"act:{event.id}"))
        elif body.act == "fire":
            row.fired += 1
        else:
            row.paused = body.act == "pause"

    def _heard(self, topic: str, payload: bytes, retained: bool) -> None:
        event = decode(SWARM, topic, payload, retained, time.time())
        if not isinstance(event, Event) or self.silent:
            return
        if isinstance(event.body, b.Task):
            self._task(event.body)
        elif isinstance(event.body, RunNew):
            self._run(event.body)
        elif isinstance(event.body, RunAct):
            self._act(event, event.body)
        elif isinstance(event.body, ScheduleAct):
            self._schedule(event, event.body)
        elif isinstance(event.body, AskAnswer):
            self._answered(event)
        elif isinstance(event.body, MessageNew):
            self._mail(event, event.body)
        elif isinstance(event.body, b.Query):
            rows: list[Any] = (
                []
                if event.body.query in ("run", "runs", "asks", "messages", "usage")
                else [TaskRow(task_id="old", type="past.task", state="complete", updated_at=5.0)]
            )
            if event.body.query == "messages" and self.letters:
                sender, letter = self.letters[-1]
                row = {"message_id": letter.message_id, "from": sender, "to": letter.to, "text": letter.text}
                rows = [row] if event.body.args.get("message_id") in (None, letter.message_id) else []
            if event.body.query == "schedules":
                rows = list(self.schedules.values())
            if event.body.query == "usage":
                rows = self.used
            if event.body.query == "task":
                wanted = event.body.args["task_id"]
                rows = [TaskRow(task_id=wanted, type="t", state="queued", hops=[Hop(at=1.0, what="journaled")])]
                rows = rows if wanted in self.known else []
            reply = b.Reply(query=event.body.query, rows=rows, request=event.id, source="tm")
            self.say(K.REPLY, reply, event.key)

    def _mail(self, event: Event, body: MessageNew) -> None:
        self.letters.append((event.sender, body))
        if body.to == "nobody":
            reason = "there is no agent and no role 'nobody' in this swarm"
            self.say(K.MESSAGE_REJECTED, MessageRejected(message_id=body.message_id, reason=reason))
            return
        self.say(
            K.MESSAGE_ACCEPTED,
            MessageAccepted(message_id=body.message_id, sender=event.sender, to=body.to, receivers=[body.to]),
        )

    def _answered(self, event: Event) -> None:
        """The first answer counts, and only an operator's."""
        body = event.body
        assert isinstance(body, AskAnswer)
        if event.key in self.answered or not event.sender.startswith("operator:"):
            alert = b.Alert(
                message=f"the answer to {event.key} was refused: nobody waits for it", name=f"act:{event.id}"
            )
            self.say(K.ALERT, alert)
            return
        by = f"{event.sender} ({clean(body.by, 100)})" if body.by and body.by not in event.sender else event.sender
        self.answered[event.key] = AskRecorded(
            ask_id=event.key, task_id="t1", outcome=body.outcome, reason=body.reason, by=by
        )
        self.say(K.ASK_RECORDED, self.answered[event.key], event.key)

    def _task(self, task: b.Task) -> None:
        first = self.keys.setdefault(task.idempotency_key or task.task_id, task.task_id)
        known = self.known.setdefault(first, task)
        if first != task.task_id and replace(known, task_id=task.task_id) == task:
            self.say(K.TASK_QUEUED, b.Queued(task_id=task.task_id, duplicate=True, original=first))
        elif known != task:
            reason = "this task id is taken by a task with another body"
            self.say(K.TASK_REJECTED, b.TaskRejected(task_id=task.task_id, reason=reason))
        elif task.type == "refused.type":
            self.say(K.TASK_REJECTED, b.TaskRejected(task_id=task.task_id, reason="no such type"))
        else:
            self.say(K.TASK_QUEUED, b.Queued(task_id=task.task_id))


class Answer:
    """What came back."""

    def __init__(self, reply: http.client.HTTPResponse) -> None:
        self.status = reply.status
        self.headers = reply.headers
        self.body = reply.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Visitor:
    """Asks over HTTP."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.port = port
        self.host = host

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=15)
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            if raw is not None:
                given.setdefault("Content-Type", "application/json")
            connection.request(method, path, raw, given)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, body: Any, **headers: str) -> Answer:
        return self.ask("POST", "/tasks", body, **headers)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def buses() -> list[MemoryBus]:
    """The connections that doors have made of their own."""
    return []


@pytest.fixture
def open_door(
    broker: MemoryBroker, buses: list[MemoryBus], tmp_path: Path, free_port: int
) -> Iterator[Callable[..., ApiGateway]]:
    made: list[ApiGateway] = []

    def connect(name: str) -> MemoryBus:
        buses.append(MemoryBus(broker, name))
        return buses[-1]

    def make(swarm: str = SWARM, **env: str) -> ApiGateway:
        spec = RunSpec(
            agent_id="door-01", role="api-gateway", swarm=swarm, broker=Broker(), workdir=str(tmp_path),
            state_dir=str(tmp_path / "state"), host="here", env={"SWARM_HTTP_PORT": str(free_port), **env},
        )  # fmt: skip
        link = Voice(broker, "door-01")
        link.bus.start(lambda *_: None, lambda _: None)
        role = ApiGateway(spec, link, make_bus=connect)
        made.append(role)
        role.start()
        return role

    yield make
    for role in made:
        role.close()


@pytest.fixture
def visitor(free_port: int) -> Visitor:
    return Visitor(free_port)


@pytest.fixture
def dispatcher(broker: MemoryBroker) -> Iterator[Dispatcher]:
    made = Dispatcher(broker)
    yield made
    made.bus.close()
