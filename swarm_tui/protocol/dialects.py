"""Agents that know only another dialect: where they speak, what they say, and how to hand them a task.

Such an agent has a swarm of its own, `<swarm>/_a/<id>`, so that nobody claims what is meant for it and its topic proves
who speaks. Two dialects:

`seed`     the plain swarm's topics and snake-case envelope, under `<swarm>/_a/<id>/…`.
`mqtt-v1`  topics `<prefix>/workspace/<workspace>/…` with `<prefix>` = `<swarm>/_a/<id>`, a camel-case envelope with
           `protocolVersion`, `type` and `workspaceId`, results in `output`. Offers go to the workspace `<id>`; answers
           are read from any workspace under the prefix.

How the dispatcher uses it, for each `agent_id, dialect` of `RunSpec.foreign`:

    bus.subscribe(pattern) for pattern in patterns(swarm, agent_id, dialect)
    bus.publish(ForeignWriter(swarm, agent_id, dialect, …).task(task, attempt))
    heard = decode_foreign(swarm, topic, payload, retained, now)
        None      not from a foreign agent, or our own offer coming back
        Rejected  as from `codec.decode`
        Event     of the usual kinds; `sender` and the body's `agent_id` are the agent's id in this swarm, whatever it
                  calls itself. A run's event is a Kind.TASK_PROGRESS when it names a task, else a Kind.OTHER: both are
                  signs of life. These agents never say `attempt` or `epoch`.
"""

from collections.abc import Callable
from typing import Any, Literal

from msgspec.structs import replace

from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import Progress, Task
from swarm_tui.protocol.envelope import Event, Outgoing, Rejected, rfc3339
from swarm_tui.protocol.names import is_agent_id, is_task_id
from swarm_tui.protocol.topics import Kind, topic
from swarm_tui.protocol.writer import encode

ForeignDialect = Literal["seed", "mqtt-v1"]
PROTOCOL_VERSION = "mqtt-v1"
_SEGMENT = "_a"
_WORKSPACE = "workspace"
_RUN_EVENTS = "runs/events"
#: What these agents say; `tasks/new` is ours to say.
_SPOKEN = ("tasks/assigned", "tasks/progress", "tasks/complete", "tasks/failed", "agents/#")


def foreign_swarm(swarm: str, agent_id: str) -> str:
    """Return the swarm that the foreign agent has for itself: what `{swarm}` stands for in its command."""
    return f"{swarm}/{_SEGMENT}/{agent_id}"


def patterns(swarm: str, agent_id: str, dialect: ForeignDialect) -> list[str]:
    """Return the topic filters that take all that the agent says, and nothing that we say to it."""
    root = foreign_swarm(swarm, agent_id)
    if dialect == "mqtt-v1":
        return [f"{root}/{_WORKSPACE}/+/{spoken}" for spoken in (*_SPOKEN, _RUN_EVENTS)]
    return [f"{root}/{spoken}" for spoken in (*_SPOKEN, "deployment/status")]


def foreign_agent(swarm: str, full: str) -> str | None:
    """Return the id of the foreign agent whose swarm the topic is of; None when it is nobody's."""
    parts = full[len(swarm) + 1 :].split("/", 2) if full.startswith(swarm + "/") else []
    return parts[1] if len(parts) == 3 and parts[0] == _SEGMENT and is_agent_id(parts[1]) else None


def decode_foreign(swarm: str, full: str, raw: bytes, retained: bool, received: float) -> Event | Rejected | None:
    """Read what a foreign agent said; see the module's docstring. Never raises."""
    agent_id = foreign_agent(swarm, full)
    if agent_id is None:
        return None
    root = foreign_swarm(swarm, agent_id)
    inner = full[len(root) + 1 :].split("/", 2)
    if inner[0] == _WORKSPACE and len(inner) == 3:
        root = f"{root}/{_WORKSPACE}/{inner[1]}"
    heard = codec.decode(root, full, raw, retained, received)
    if not isinstance(heard, Event):
        return heard
    if heard.kind is Kind.TASK_NEW:
        return None
    return _as_ours(heard, agent_id)


def _as_ours(event: Event, agent_id: str) -> Event:
    warnings = event.warnings
    if event.sender not in (agent_id, "anonymous"):
        warnings = (*warnings, f"it calls itself {event.sender!r}")
    body = event.body
    if "agent_id" in body.__struct_fields__:
        body = replace(body, agent_id=agent_id)
    if event.kind is Kind.OTHER and event.key == _RUN_EVENTS:
        return _run_event(replace(event, sender=agent_id, warnings=warnings), agent_id)
    key = agent_id if event.kind is Kind.STATUS else event.key
    return replace(event, sender=agent_id, key=key, body=body, warnings=warnings)


def _run_event(event: Event, agent_id: str) -> Event:
    payload = event.payload
    data = payload.get("data") if isinstance(payload.get("data"), dict) else {}
    assert isinstance(data, dict)
    task_id = payload.get("task_id") or data.get("taskId") or data.get("task_id") or payload.get("runId")
    if not isinstance(task_id, str) or not is_task_id(task_id):
        return event
    percent = data.get("progress")
    body = Progress(
        task_id=task_id,
        agent_id=agent_id,
        progress=float(percent) if isinstance(percent, (int, float)) and not isinstance(percent, bool) else None,
        message=str(payload.get("message") or payload.get("eventType") or ""),
    )
    return replace(event, kind=Kind.TASK_PROGRESS, key="", body=body)


class ForeignWriter:
    """Says to one foreign agent, in its dialect, what `codec.Writer` says to ours; the arguments are the same."""

    def __init__(
        self,
        swarm: str,
        agent_id: str,
        dialect: ForeignDialect,
        *,
        sender: str,
        new_id: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self.agent_id = agent_id
        self.dialect = dialect
        self.sender = sender
        self._new_id = new_id
        self._clock = clock
        self._root = foreign_swarm(swarm, agent_id)
        self._plain = codec.Writer(self._root, sender, "task-manager", new_id=new_id, clock=clock)

    def task(self, task: Task, attempt: int) -> Outgoing:
        """Return the task as a `tasks/new` that only this agent hears; `attempt` makes each id another.

        A busy agent of such a dialect drops it silently.
        """
        if self.dialect == "seed":
            return self._plain.message(Kind.TASK_NEW, replace(task, assigned_to=self.agent_id))
        payload: dict[str, Any] = {
            "taskId": task.task_id,
            "taskType": task.type,
            "priority": task.priority,
            "input": task.payload,
        }
        return self.envelope(
            Kind.TASK_NEW, payload, correlation=task.task_id, idempotency=f"{task.task_id}_attempt_{attempt}"
        )

    def envelope(
        self, kind: Kind, payload: dict[str, Any], *, correlation: str = "", idempotency: str = ""
    ) -> Outgoing:
        """Return a camel-case message of `kind` on the agent's own workspace."""
        envelope: dict[str, Any] = {
            "id": self._new_id(),
            "protocolVersion": PROTOCOL_VERSION,
            "type": kind.value.replace("/", "."),
            "timestamp": rfc3339(self._clock()),
            "workspaceId": self.agent_id,
            "agentId": self.sender,
            "payload": payload,
        }
        if correlation:
            envelope["correlationId"] = correlation
        if idempotency:
            envelope["idempotencyKey"] = idempotency
        return Outgoing(topic(f"{self._root}/{_WORKSPACE}/{self.agent_id}", kind), encode(envelope), 1, False)
