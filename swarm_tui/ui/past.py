"""The past: asked for when the link comes up, and merged into what is known."""

from typing import TYPE_CHECKING, Any

import msgspec

from swarm_tui.bus.port import BusError
from swarm_tui.domain.views import AgentView
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import Heartbeat, Reply
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.rows import TaskRow
from swarm_tui.ui.source import Source
from swarm_tui.ui.stream import Message

if TYPE_CHECKING:
    from swarm_tui.ui.app import SwarmApp

TASKS = 2_000
MESSAGES = 500
HOUR = 3600.0


def ask_past(app: "SwarmApp") -> None:
    """Ask the dispatcher for its tasks and monitoring for the last hour's messages; nobody need answer."""
    if not app.model.fleet.broker_up:
        return
    source, now = app.source, app.clock()
    waits = app.model.waits
    waits["tasks"] = "the dispatcher's list of tasks"
    app.in_thread(lambda: answer(source, "tasks", {"limit": TASKS}), lambda reply: _tasks(app, reply))
    if not app.model.past_loaded:
        waits["history"] = "monitoring's last hour"
        app.in_thread(
            lambda: answer(source, "history", {"since": now - HOUR, "limit": MESSAGES}),
            lambda reply: _messages(app, reply, now),
        )


def answer(source: Source, query: str, args: dict[str, Any]) -> Reply | None:
    """What was answered; None when nobody did, or the question could not be put."""
    try:
        return source.query(query, args)
    except (BusError, OSError):
        return None


def _came(app: "SwarmApp", name: str) -> None:
    app.model.waits.pop(name, None)
    if not app.model.waits:
        app.main.all_changed()


def _tasks(app: "SwarmApp", reply: Reply | None) -> None:
    _came(app, "tasks")
    rows = task_rows(reply)
    if rows:
        app.model.load(rows, app.clock())
        app.main.all_changed()


def task_rows(reply: Reply | None) -> list[TaskRow]:
    """The rows of an answer; one that is none is left out."""
    rows: list[TaskRow] = []
    for row in reply.rows if reply else []:
        try:
            rows.append(msgspec.convert(row, TaskRow, strict=False))
        except msgspec.ValidationError:
            continue
    return rows


def _messages(app: "SwarmApp", reply: Reply | None, before: float) -> None:
    _came(app, "history")
    messages = history(app.model.swarm, reply, before)
    if messages:
        _pulses(app, messages)
        app.model.past_loaded = True
        app.model.stream.load(messages)
        app.main.all_changed()


def _pulses(app: "SwarmApp", messages: list[Message]) -> None:
    """Give agents the heartbeats that came before the screen opened."""
    for message in reversed(messages):
        body = message.body if isinstance(message, Event) else None
        if not isinstance(body, Heartbeat) or (agent := app.model.agent(body.agent_id)) is None:
            continue
        if (agent.started_at or 0.0) > message.received or (agent.beats and agent.beats[0] <= message.received):
            continue
        if len(agent.beats) < (agent.beats.maxlen or 0):
            agent.beats.appendleft(message.received)
            agent.last_heartbeat = agent.last_heartbeat or message.received
            _vitals(agent, body)


def _vitals(agent: AgentView, body: Heartbeat) -> None:
    rss = body.memory.get("rss") if isinstance(body.memory, dict) else None
    if isinstance(rss, int):
        agent.memory_trail.appendleft(rss)
        agent.memory_rss = agent.memory_rss or rss
    if body.cpu is not None:
        agent.cpu_trail.appendleft(body.cpu)
        agent.cpu = body.cpu if agent.cpu is None else agent.cpu


def history(swarm: str, reply: Reply | None, before: float) -> list[Message]:
    """The messages of an answer, oldest first, those from before our own listening."""
    found: list[tuple[float, Message]] = []
    for row in reply.rows if reply else []:
        if not isinstance(row, dict):
            continue
        at, topic, payload = row.get("at"), row.get("topic"), row.get("payload")
        if not isinstance(at, (int, float)) or at > before or not isinstance(topic, str):
            continue
        message = codec.decode(swarm, topic, _bytes(payload), False, float(at))
        if message is not None:
            found.append((float(at), message))
    return [message for _, message in sorted(found, key=lambda pair: pair[0])]


def _bytes(payload: Any) -> bytes:
    return payload.encode("utf-8", "replace") if isinstance(payload, str) else msgspec.json.encode(payload)
