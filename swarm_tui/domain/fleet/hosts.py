"""Hosts and their panes, as the supervisors say them."""

from typing import Any

from swarm_tui.domain.fleet.agent_facts import AgentFacts, PaneFacts, number
from swarm_tui.domain.fleet.agents import Agents
from swarm_tui.domain.views import HostEvent, HostView, LayoutView
from swarm_tui.domain.witness import ADVICE
from swarm_tui.protocol import bodies
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.text import clean

MAX_HOSTS = 256
MAX_TAIL = 50
MAX_EVENTS = 20
#: Entries of a layout, facts of each, and letters of one, that are kept.
MAX_ENTRIES, MAX_FACTS, MAX_FACT = 100, 60, 200


class Hosts:
    """The hosts that are known; their panes become facts of their agents."""

    def __init__(self, agents: Agents) -> None:
        self.all: dict[str, HostView] = {}
        self._agents = agents
        self.panes: dict[str, set[str]] = {}
        """Host to the agents whose panes it named last."""
        self._told: dict[str, list[dict[str, Any]]] = {}
        """Host to the events as it told of them last: most of its messages tell of the same."""

    def apply(self, event: Event, now: float) -> set[str]:
        """Take one hosts/<host>/status. Returns the ids of the agents it touched."""
        host, body = clean(event.key, 128), event.body
        if isinstance(body, bodies.HostStatus):
            if host not in self.all and len(self.all) >= MAX_HOSTS:
                return set()
            old = self.all.get(host)
            events = old.events if old is not None and self._told.get(host) == body.events else _events(body.events)
            self._told[host] = body.events
            self.all[host] = _view(host, body, old, events, event.received)
            panes = body.panes if body.status != "offline" else None
        else:
            self.all.pop(host, None)
            self._told.pop(host, None)
            panes = []
        self._agents.supervised = any(view.online for view in self.all.values())
        return set() if panes is None else self._take(host, panes, now)

    def _take(self, host: str, panes: list[bodies.PaneStatus], now: float) -> set[str]:
        named = set()
        for row in panes:
            agent = self._agents.get(row.agent_id, now)
            if agent is not None and row.witness == "foreign":
                agent.stranger = True
                self._agents.describe(agent, row.role, None)
                named.add(row.agent_id)
            elif agent is not None and (agent.pane is None or agent.pane.host == host or row.pid is not None):
                _take_pane(agent, host, row, now)
                self._agents.describe(agent, row.role, None)
                named.add(row.agent_id)
        gone = self.panes.get(host, set()) - named
        self.panes[host] = named
        for agent_id in gone:
            self._without_pane(agent_id, host)
        for agent_id in gone | named:
            if agent_id in self._agents.all:
                self._agents.settle(self._agents.all[agent_id], now)
        return gone | named

    def _without_pane(self, agent_id: str, host: str) -> None:
        agent = self._agents.all.get(agent_id)
        if agent is not None and agent.stranger:
            agent.stranger = False
        if agent is None or agent.pane is None or agent.pane.host != host:
            return
        agent.pane, agent.pane_id, agent.next_start = None, None, None
        if agent.bus is None or agent.cleared:
            self._agents.forget(agent_id)


def _view(host: str, body: bodies.HostStatus, old: HostView | None, events: list[HostEvent], seen: float) -> HostView:
    """The host anew; a will says only that it is offline, so the rest stays as it was."""

    def said(text: str | None, before: str | None) -> str | None:
        return before if text is None else clean(text, 200)

    return HostView(
        host=host,
        online=body.status != "offline",
        seen=seen,
        session=said(body.session, old.session if old else None),
        socket=said(body.socket, old.socket if old else None),
        address=said(body.address, old.address if old else None),
        pid=body.pid if body.pid is not None or old is None else old.pid,
        version=said(body.version, old.version if old else None),
        events=events or (old.events if old else []),
        layout=_layout(body.layout, old.layout if old else None),
    )


def _layout(said: bodies.LayoutRevision | None, old: LayoutView | None) -> LayoutView | None:
    """Return the layout that the host runs; most of its messages tell of the same, and a will of none."""
    if said is None or (old is not None and (old.revision, old.at) == (said.revision, said.at)):
        return old
    entries = {
        clean(name, MAX_FACT): {
            clean(fact, MAX_FACT): clean(text, MAX_FACT) for fact, text in [*facts.items()][:MAX_FACTS]
        }
        for name, facts in [*said.entries.items()][:MAX_ENTRIES]
    }
    revision, by, file = (clean(text, MAX_FACT) for text in (said.revision, said.by, said.file))
    return LayoutView(revision=revision, at=said.at, by=by, file=file, entries=entries)


def _events(said: list[dict[str, Any]]) -> list[HostEvent]:
    """Read a host's events, as far as they make sense."""
    found = []
    for event in said[-MAX_EVENTS:]:
        at, words = number(event.get("at")), [event.get(name, "") for name in ("what", "agent_id", "reason")]
        if at is not None and all(isinstance(word, str) for word in words):
            what, agent_id, reason = (clean(word, 300) for word in words)
            found.append(HostEvent(at=at, what=what, agent_id=agent_id, reason=reason))
    return found


def _take_pane(agent: AgentFacts, host: str, row: bodies.PaneStatus, now: float) -> None:
    known = agent.pane
    same = known is not None and known.host == host and known.pid == row.pid and known.state == row.state
    agent.pane = PaneFacts(
        host=host,
        state=clean(row.state, 32),
        pid=row.pid,
        since=known.since if known is not None and same else now,
        seen=now,
        reason=clean(row.reason, 500),
        witness=row.witness if row.witness in ADVICE else "stray" if row.state == "stray" else None,
    )
    agent.stranger = False
    if known is not None and known.pid is not None and known.pid != row.pid and row.reason:
        agent.ends.append(f"pid {known.pid}: {clean(row.reason, 300)}")
    agent.host, agent.pid = host, row.pid
    agent.pane_id = None if row.pane_id is None else clean(row.pane_id, 32)
    agent.restarts, agent.next_start = row.restarts, row.next_start
    agent.exit_status, agent.exit_signal = row.exit_status, row.exit_signal
    agent.tail = [clean(line, 400) for line in row.tail[-MAX_TAIL:]]
