"""Differences between two moments of a swarm: what came, went and changed."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from msgspec import Struct

from swarm_tui.domain.fleet.reducer import Fleet
from swarm_tui.domain.fleet.runs import RunView
from swarm_tui.domain.outcome import came_badly
from swarm_tui.domain.states import ENDED, AgentState, TaskState
from swarm_tui.domain.views import AgentView, DispatcherView, HostView, LayoutView, TaskView
from swarm_tui.protocol.envelope import rfc3339
from swarm_tui.protocol.text import clean

#: What a difference can be about, in the order in which people read it.
ABOUT = ("swarm", "layout", "versions", "agents", "asks", "runs", "tasks")
_BAD_AGENT = frozenset({AgentState.HUNG, AgentState.LOST, AgentState.CRASHLOOP})
_BAD_TASK = frozenset({TaskState.FAILED, TaskState.DEAD, TaskState.HELD, TaskState.EXPIRED})
_BAD_RUN = frozenset({"failed", "rejected"})
#: Task types whose success makes a version live.
_DEPLOYS = "deployment."
T = TypeVar("T")
#: The beginning of the word on the end of a process that tells nothing but that another one is there.
_NO_REASON = "followed by "


class Difference(Struct, frozen=True, kw_only=True):
    """Change of one fact: `before` is None of what came, `after` of what went; `bad` is what people look for."""

    about: str
    """Group, one of `ABOUT`."""
    id: str
    """Id of the agent, task, run, ask, role, host or service."""
    fact: str
    before: str | None
    after: str | None
    bad: bool = False

    @property
    def words(self) -> str:
        """Return it as people read it."""
        if self.before is None:
            return f"new {self.fact}: {self.after}"
        return f"{self.fact}: {self.before} → {'gone' if self.after is None else self.after}"


def differences(before: Fleet, since: float, after: Fleet) -> list[Difference]:
    """Return what is other in `after` than it was in `before`, the knowledge of the moment `since`, group by group.

    What is known of only one of them though nothing happened to it meanwhile, as a task that ended long ago, is none.
    """
    found = [
        *_swarm(before, after),
        *_layout(before, after),
        *_versions(before, since, after),
        *_agents(before.agents, after.agents),
        *_asks(before, after),
        *_runs(before.runs, since, after.runs),
        *_tasks(before, since, after),
    ]
    return sorted(found, key=lambda each: (ABOUT.index(each.about), not each.bad))


def _other(
    about: str, id_: str, fact: str, before: object, after: object, *, bad: bool = False
) -> Iterator[Difference]:
    """Yield the difference of a fact, where there is one; what is empty or None is not there."""
    if before != after:
        old, new = (None if value is None or value == "" else str(value) for value in (before, after))
        if old is not None or new is not None:
            yield Difference(about=about, id=id_, fact=fact, before=old, after=new, bad=bad)


def _both(before: Mapping[str, T], after: Mapping[str, T]) -> Iterator[tuple[str, T | None, T | None]]:
    for name in sorted(before.keys() | after.keys()):
        yield name, before.get(name), after.get(name)


def _swarm(before: Fleet, after: Fleet) -> Iterator[Difference]:
    leader = after.dispatcher
    leaders = (_leader(before.dispatcher), _leader(leader))
    yield from _other("swarm", after.swarm, "dispatcher", *leaders, bad=leader is None or not leader.online)
    yield from _other("swarm", after.swarm, "halt", before.halted, after.halted, bad=after.halted is not None)
    for name, was, is_ in _both(before.hosts, after.hosts):
        yield from _other("swarm", name, "host", _host(was), _host(is_), bad=_host(is_) != "online")
    for name, raised, stands in _both(before.alerts, after.alerts):
        said = [None if alert is None else f"{alert.severity}, {alert.message}" for alert in (raised, stands)]
        if None in said:  # One that is said again in other words is the same.
            yield from _other("swarm", name, "alert", *said, bad=stands is not None and stands.severity == "critical")


def _leader(leader: DispatcherView | None) -> str | None:
    if leader is None:
        return None
    return f"{leader.agent_id or leader.instance}, epoch {leader.epoch}, {'online' if leader.online else 'away'}"


def _host(host: HostView | None) -> str | None:
    return None if host is None else "online" if host.online else "offline"


def _layout(before: Fleet, after: Fleet) -> Iterator[Difference]:
    """Yield what the hosts are told to run: their layouts, their agents, what these can do, how many are wished for."""
    running = [{name: host.layout for name, host in fleet.hosts.items()} for fleet in (before, after)]
    for host, ran, runs in _both(*running):
        # A host of an older version says nothing of its layout, and before one is heard nothing is known of it.
        if ran is not None and runs is not None:
            yield from _revision(host, ran, runs, several=len(running[1]) > 1)
    for role, was, is_ in _both(before.scale, after.scale):
        wishes = [None if wish is None else wish.desired for wish in (was, is_)]
        yield from _other("layout", role, "agents wished for", *wishes)
    panes = [fleet.parts()[1].panes for fleet in (before, after)]
    for host, had, has in _both(panes[0], panes[1]):
        for agent_id in sorted((had or set()) ^ (has or set())):
            there = [host if agent_id in (named or set()) else None for named in (had, has)]
            yield from _other("layout", agent_id, "pane on host", *there)
    for agent_id in sorted(before.agents.keys() & after.agents.keys()):
        old, new = before.agents[agent_id], after.agents[agent_id]
        yield from _other("layout", agent_id, "role", old.role, new.role)
        yield from _other("layout", agent_id, "tasks at a time", old.capacity, new.capacity)
        did, does = set(old.capabilities), set(new.capabilities)
        if did and does:  # None are known before its birth is heard.
            yield from _other("layout", agent_id, "task types", ", ".join(sorted(did - does)), None)
            yield from _other("layout", agent_id, "task types", None, ", ".join(sorted(does - did)))


def _revision(host: str, had: LayoutView, has: LayoutView, *, several: bool) -> Iterator[Difference]:
    """Yield what is other in the layout that a host runs: which it is, and of each entry each fact."""
    who = f"{has.revision}, by {has.by or 'nobody known'}, {rfc3339(has.at)}, {has.file}"
    if had.revision != has.revision:
        yield from _other("layout", host, "revision", had.revision, who)
    for name, old, new in _both(had.entries, has.entries):
        entry = f"{name} on {host}" if several else name
        if old is None or new is None:
            said = [None if facts is None else "; ".join(map(" ".join, facts.items())) for facts in (old, new)]
            yield from _other("layout", entry, "entry", *said)
            continue
        for fact, before, after in _both(old, new):
            yield from _other("layout", entry, fact, before, after)


def _versions(before: Fleet, since: float, after: Fleet) -> Iterator[Difference]:
    for noun, old, new in (("agent", before.agents, after.agents), ("host", before.hosts, after.hosts)):
        for name in sorted(old.keys() & new.keys()):
            was, is_ = old[name].version, new[name].version
            if was and is_:
                yield from _other("versions", name, f"version of the {noun}", was, is_)
    live: dict[str, tuple[str | None, str | None]] = {}
    deployed = (
        task for task in after.tasks.values() if task.type.startswith(_DEPLOYS) and (task.ended_at or 0) > since
    )
    for task in sorted(deployed, key=lambda task: task.ended_at or 0.0):
        result = task.result if isinstance(task.result, dict) else {}
        service, now_live = (_text(result.get(name)) for name in ("service", "live"))
        if service and now_live:
            live[service] = (live.get(service, (_text(result.get("previous_version")),))[0], now_live)
    for service, (was, is_) in sorted(live.items()):
        yield from _other("versions", service, "live version", was, is_)


def _text(value: object) -> str | None:
    return clean(value, 200) if isinstance(value, str) else None


def _agents(before: Mapping[str, AgentView], after: Mapping[str, AgentView]) -> Iterator[Difference]:
    for name, old, new in _both(before, after):
        bad = new is not None and (new.state in _BAD_AGENT or new.vanished)
        yield from _other("agents", name, "state", *(None if a is None else a.word for a in (old, new)), bad=bad)
        if old is None or new is None:
            continue
        if old.incarnation and new.incarnation and old.incarnation != new.incarnation:
            ends = list(new.ends)[-1:]
            reason = ends[0].partition(": ")[2] if ends and ends != list(old.ends)[-1:] else ""
            why = f" ({reason})" if reason and not reason.startswith(_NO_REASON) else ""
            yield from _other("agents", name, "process", f"pid {old.pid}", f"pid {new.pid}, another{why}")
        if new.restarts > old.restarts:
            yield from _other("agents", name, "restarts", old.restarts, new.restarts)
        yield from _other("agents", name, "trouble", old.trouble, new.trouble, bad=bool(new.trouble))
        yield from _other("agents", name, "disagreement", old.witness, new.witness, bad=bool(new.witness))


def _asks(before: Fleet, after: Fleet) -> Iterator[Difference]:
    for name, old, new in _both(before.asks.open, after.asks.open):
        said = [None if ask is None else f"{ask.agent_id} asks: {ask.title}" for ask in (old, new)]
        if None in said:
            yield from _other("asks", name, "ask", *said)


def _runs(before: Mapping[str, RunView], since: float, after: Mapping[str, RunView]) -> Iterator[Difference]:
    for name, new in after.items():
        old = before.get(name)
        if old is not None or new.updated_at > since:
            fact = f"run of {new.workflow}"
            yield from _other("runs", name, fact, None if old is None else old.state, new.state,
                              bad=new.state in _BAD_RUN)  # fmt: skip
            for step in new.steps.values() if old is not None else ():
                was = old.steps.get(step.name) if old is not None else None
                if was is not None:
                    yield from _other("runs", name, f"step {step.name}", was.state, step.state,
                                      bad=step.state in _BAD_RUN)  # fmt: skip


def _tasks(before: Fleet, since: float, after: Fleet) -> Iterator[Difference]:
    for name, new in after.tasks.items():
        old = before.tasks.get(name)
        if old is None and new.updated_at <= since:
            continue
        said = [None if task is None else _task(task) for task in (old, new)]
        yield from _other("tasks", name, new.type, *said, bad=new.state in _BAD_TASK or came_badly(new))
    for name in before.tasks.keys() - after.tasks.keys():
        lost = before.tasks[name]
        if lost.state not in ENDED:
            yield from _other("tasks", name, lost.type, _task(lost), None)


def _task(task: TaskView) -> str:
    """Return a task's state, with who has it and which attempt it is, and why it came to an end that is none."""
    parts: Iterable[Any] = (
        str(task.state) + (", badly" if came_badly(task) else ""),
        f"by {task.agent_id}" if task.agent_id else "",
        f"attempt {task.attempt}" if task.attempt > 1 else "",
        f"({(task.error or task.reason)[:120]})" if task.state in _BAD_TASK and (task.error or task.reason) else "",
    )
    return " ".join(filter(None, parts))
