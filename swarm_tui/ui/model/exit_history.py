"""Ends of an agent's lives, from all who know of it: its supervisor, monitoring's record, and what we heard."""

from collections.abc import Iterable, Iterator

from swarm_tui.domain.views import AgentView, HostView
from swarm_tui.protocol.bodies import Status
from swarm_tui.protocol.envelope import Event

#: What a supervisor says of one of its processes that tells of an end, or of what led to it.
_ENDS = frozenset({"exit", "crashloop", "hung", "stop", "orphan", "double"})


def ends_of(agent: AgentView, host: HostView | None, past: Iterable[Event]) -> list[tuple[float, str]]:
    """Return when they ended, and how, the last first; what we heard ourselves has no time, and goes before."""
    recorded = dict(_recorded(agent, past))
    events = host.events if host is not None else []
    said = [(e.at, f"{e.what}: {e.reason}") for e in events if e.agent_id == agent.agent_id and e.what in _ENDS]
    timed = sorted([*said, *recorded.values()], reverse=True)
    heard = [(0.0, end) for end in reversed(agent.ends) if end.split(":")[0] not in recorded]
    return [*heard, *timed]


def _recorded(agent: AgentView, past: Iterable[Event]) -> Iterator[tuple[str, tuple[float, str]]]:
    """Yield each incarnation that the record saw go offline, when, and what it said."""
    for event in past:
        body = event.body
        if not isinstance(body, Status) or body.agent_id != agent.agent_id or body.status.lower() != "offline":
            continue
        life = body.incarnation or "an incarnation"
        reason = event.payload.get("reason")
        why = reason if isinstance(reason, str) else "its connection ended without a farewell (will)"
        yield life, (event.received, f"{life}: {why}")
