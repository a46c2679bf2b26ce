"""The past: asked for when the link comes up, and merged into what is known."""

import re
from typing import Any

from swarm_tui.bus.port import BusError
from swarm_tui.client.record import recorded_rows
from swarm_tui.domain.usage import day_of
from swarm_tui.domain.views import AgentView
from swarm_tui.identity.acl import told
from swarm_tui.journal.recorder_port import Recorded, heard_then
from swarm_tui.protocol.bodies import Heartbeat, Reply, Unknown
from swarm_tui.protocol.envelope import ANONYMOUS, Event
from swarm_tui.protocol.rows import ask_rows, task_rows
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import parse
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.model.source import Source
from swarm_tui.ui.model.stream import Message

TASKS = 2_000
HOUR = 3600.0
NEWEST = 500
"""Messages of all kinds: most are heartbeats, which fill the strips of beats."""
NEWS = 1_000
"""Messages of each group of topics below from before those."""
TOPICS = (
    ("tasks/#",),
    (
        "alerts", "halt", "broadcast", "dispatcher", "agents/+/status", "agents/register", "agents/shutdown",
        "hosts/+/control", "roles/#", "deployment/#", "code/#",
    ),
)  # fmt: skip
"""Tasks are most of the news, so the rest is asked for apart; a question for each topic would be too many for a person
with a few screens, whose questions are bounded (`identity/door.py`)."""
OVERLAP = 15.0
"""Seconds before we knew that the link was lost in which messages may have been lost already."""
#: The first of each in a message's text: the envelope stands before the payload.
_SENDER = re.compile(r'"agent_id"\s*:\s*"([A-Za-z0-9_.:@-]{1,160})"')
_TASK = re.compile(r'"task_id"\s*:\s*"([A-Za-z0-9_.:@-]{1,160})"')
TRIES = 4
"""Questions after a lost broker: who would answer has to find it again too."""


def ask_past(desk: Desk) -> None:
    """Ask the dispatcher for its tasks and monitoring for the last messages; nobody need answer.

    The first time for those of an hour, then for those of the time in which the broker was lost.
    """
    model = desk.model
    if not model.live.broker_up:
        return
    source, now, tries = desk.source, desk.clock(), TRIES if model.relinked else 1
    model.pending["tasks"] = "the dispatcher's list of tasks"
    desk.in_thread(lambda: answer(source, "tasks", {"limit": TASKS}, tries), lambda reply: _tasks(desk, reply))
    desk.in_thread(lambda: answer(source, "asks", {}, tries), lambda reply: _asks(desk, reply))
    if not source.facts.guard:
        desk.in_thread(lambda: answer(source, "guard", {}, tries), lambda reply: _guard(desk, reply))
    if not model.past_loaded:
        model.pending["history"] = "monitoring's last hour"
        since = now - HOUR
    elif model.outages:
        model.pending["history"] = "what monitoring heard meanwhile"
        since = model.outages[-1][0] - OVERLAP
    else:
        return
    desk.in_thread(
        lambda: messages_since(source, model.swarm, since, now, tries), lambda found: _messages(desk, found, now)
    )


def ask_usage(desk: Desk) -> None:
    """Ask the dispatcher what the day's conversations took."""

    def came(reply: Reply | None) -> None:
        before = desk.model.live.usage_today
        desk.model.live.usage_today = day_of(reply.rows if reply else (), desk.model.live.usage_today)
        if desk.model.live.usage_today != before:
            desk.main.all_changed()

    desk.in_thread(lambda: answer(desk.source, "usage", {}), came)


def messages_since(source: Source, swarm: str, since: float, until: float, tries: int = 1) -> list[Message]:
    """Return the newest messages of all kinds, and of what is news also the older ones: heartbeats would drown them."""
    reply = answer(source, "history", {"since": since, "limit": NEWEST}, tries)
    found = history(swarm, reply, until)
    if reply is None or len(reply.rows) < NEWEST or not found:
        return found
    before = found[0].received
    for names in TOPICS:
        asked = {"since": since, "until": before, "topics": [f"{swarm}/{name}" for name in names], "limit": NEWS}
        found += history(swarm, answer(source, "history", asked), before)
    return found


def answer(source: Source, query: str, args: dict[str, Any], tries: int = 1) -> Reply | None:
    """Return what was answered; None when nobody did after so many tries, or the question could not be put."""
    for _ in range(tries):
        try:
            if (reply := source.query(query, args)) is not None:
                return reply
        except (BusError, OSError):
            return None
    return None


def _came(desk: Desk, name: str) -> None:
    desk.model.pending.pop(name, None)
    if not desk.model.pending:
        desk.main.all_changed()


def _tasks(desk: Desk, reply: Reply | None) -> None:
    _came(desk, "tasks")
    rows = task_rows(reply.rows if reply else ())
    if rows:
        desk.model.load(rows, desk.clock())
        desk.main.all_changed()


def _guard(desk: Desk, reply: Reply | None) -> None:
    row = reply.rows[0] if reply is not None and reply.rows else None
    if isinstance(row, dict) and isinstance(guests := row.get("guests"), str):
        desk.model.guard = told(guests)
        desk.main.all_changed()


def _asks(desk: Desk, reply: Reply | None) -> None:
    if rows := ask_rows(reply.rows if reply else ()):
        desk.model.load_asks(rows)
        desk.main.all_changed()


def _messages(desk: Desk, found: list[Message], before: float) -> None:
    _came(desk, "history")
    if found:
        _pulses(desk, found)
        desk.model.past_loaded = True
        desk.main.narrow_stream(lambda: desk.model.live_stream.load(found))
        desk.main.all_changed()


def _pulses(desk: Desk, messages: list[Message]) -> None:
    """Give agents the heartbeats that came before the screen opened."""
    for message in sorted(messages, key=lambda message: message.received, reverse=True):
        body = message.body if isinstance(message, Event) else None
        if not isinstance(body, Heartbeat) or (agent := desk.model.agent(body.agent_id)) is None:
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
    """Return the messages of an answer, oldest first, those from before our own listening."""
    rows = sorted(recorded_rows(reply), key=lambda row: row.at)
    found = (_message(swarm, row) for row in rows if row.at <= before)
    return [message for message in found if message is not None]


def _message(swarm: str, row: Recorded) -> Message | None:
    if row.is_cut:
        return cut_short(swarm, row.topic, row.payload.decode("utf-8", "replace"), row.at)
    return heard_then(swarm, row)


def cut_short(swarm: str, topic: str, text: str, at: float) -> Event | None:
    """Return what is left of a message that was too long for the record's answer; None of another swarm's."""
    address = parse(swarm, topic)
    if address is None:
        return None
    sender, task = _SENDER.search(text), _TASK.search(text)
    payload = {"task_id": task[1]} if task else {}
    payload |= {"cut": f"the record's answer has its first {len(text):,} characters", "beginning": text}
    return Event(
        topic=clean(topic, 200),
        kind=address.kind,
        key=clean(address.key),
        id="",
        at=at,
        received=at,
        sender=sender[1] if sender else ANONYMOUS,
        role=None,
        body=Unknown(),
        payload=payload,
    )
