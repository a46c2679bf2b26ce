"""The whole knowledge of a swarm as bytes, and back: where a look at the past begins."""

from collections import Counter, deque
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct, structs

from swarm_tui.domain.fleet.agent_facts import AgentFacts
from swarm_tui.domain.fleet.kept_tasks import MAX_ENDED
from swarm_tui.domain.fleet.mails import MailView
from swarm_tui.domain.fleet.reducer import Fleet
from swarm_tui.domain.fleet.runs import RunView
from swarm_tui.domain.fleet.task_facts import AttemptEnd, TaskFacts
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.views import AlertView, Counts, DispatcherView, HostView, ScaleView
from swarm_tui.protocol.envelope import Rejected
from swarm_tui.protocol.rows import AskRow

#: Bytes of a task's payload or result, encoded, up to which it is part of a snapshot.
LARGEST_VALUE = 16 * 1024
#: The layout of the bytes: others are not read.
VERSION = 1


class SnapshotError(ValueError):
    """The bytes are no snapshot that this version reads."""


class _Snapshot(Struct, array_like=True):
    version: int
    swarm: str
    broker_up: bool
    broker_reason: str
    link_changed: float | None
    dispatcher: DispatcherView | None
    halted: str | None
    alerts: list[AlertView]
    scale: list[ScaleView]
    counts: Counts
    refusals: list[Rejected]
    rate: float
    times: tuple[float, float | None, int, float]
    agents: list[AgentFacts]
    held: dict[str, set[str]]
    supervised: bool
    silence: str | None
    hosts: list[HostView]
    panes: dict[str, set[str]]
    tasks: list[TaskFacts]
    by_state: dict[TaskState, list[str]]
    ended: list[str]
    past: dict[TaskState, int]
    past_badly: int
    past_until: float
    dropped: int
    badly: set[str]
    aliases: dict[str, str]
    runs: list[RunView] = []
    asks: list[AskRow] = []
    mails: list[MailView] = []


#: Runs and messages that a snapshot holds, the newest; characters of a message.
MAX_RUNS, MAX_MAILS, MAX_TEXT = 200, 200, 2000


def _listed(value: Any) -> Any:
    if isinstance(value, deque):
        return list(value)
    raise NotImplementedError(type(value))


def _queued(kind: Any, value: Any) -> Any:
    if getattr(kind, "__origin__", kind) is deque:
        return deque(value)
    raise NotImplementedError(kind)


_encode = msgspec.msgpack.Encoder(enc_hook=_listed).encode
_decode = msgspec.msgpack.Decoder(_Snapshot, dec_hook=_queued).decode


def snapshot(fleet: Fleet, *, ended_tasks: int = MAX_ENDED) -> bytes:
    """Return all that the fleet knows, of tasks that ended the newest `ended_tasks`, the others as counts.

    Of a payload or result over 16 KiB only its size is kept.
    """
    agents, hosts, tasks = fleet.parts()
    ended = tasks.ended
    old = set(islice(ended.ids, max(0, len(ended.ids) - ended_tasks)))
    past = Counter({state: ended.past[state] for state in TaskState})
    past.update(tasks.all[task_id].state for task_id in old)
    return _encode(
        _Snapshot(
            version=VERSION,
            swarm=fleet.swarm,
            broker_up=fleet.broker_up,
            broker_reason=fleet.broker_reason,
            link_changed=fleet.link_changed,
            dispatcher=fleet.dispatcher,
            halted=fleet.halted,
            alerts=list(fleet.alerts.values()),
            scale=list(fleet.scale.values()),
            counts=fleet.counts,
            refusals=list(fleet.refusals),
            rate=fleet.rate,
            times=(*fleet.times(), agents.latest),
            agents=list(agents.all.values()),
            held=agents.held,
            supervised=agents.supervised,
            silence=agents.common_silence,
            hosts=list(hosts.all.values()),
            panes=hosts.panes,
            tasks=[_small(task) for task in tasks.all.values() if task.task_id not in old],
            by_state={state: [one for one in ids if one not in old] for state, ids in tasks.by_state.items()},
            ended=[task_id for task_id in ended.ids if task_id not in old],
            past={state: count for state, count in past.items() if count},
            past_badly=ended.past_badly + len(tasks.badly & old),
            past_until=max([ended.past_until, *(tasks.all[task_id].updated_at for task_id in old)]),
            dropped=tasks.dropped + len(old),
            badly=tasks.badly - old,
            aliases=tasks.aliases,
            runs=list(fleet.runs.values())[-MAX_RUNS:],
            asks=[_small_ask(ask) for ask in fleet.asks.open.values()],
            mails=[_small_mail(mail) for mail in list(fleet.mails.values())[-MAX_MAILS:]],
        )
    )


def restored(raw: bytes, *, kept: int) -> Fleet:
    """Return a fleet that knows what the snapshot holds, and goes on from there. Raises SnapshotError."""
    try:
        saved = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotError(f"not a snapshot of a swarm: {error}") from None
    if saved.version != VERSION:
        raise SnapshotError(f"a snapshot of version {saved.version}; this program reads version {VERSION}")
    fleet = Fleet(saved.swarm, kept=kept)
    fleet.broker_up, fleet.broker_reason, fleet.link_changed = saved.broker_up, saved.broker_reason, saved.link_changed
    fleet.was_linked = True
    fleet.dispatcher, fleet.halted, fleet.counts, fleet.rate = saved.dispatcher, saved.halted, saved.counts, saved.rate
    fleet.alerts.update((alert.name, alert) for alert in saved.alerts)
    fleet.scale.update((wish.role, wish) for wish in saved.scale)
    fleet.refusals.extend(saved.refusals)
    fleet.set_times(*saved.times[:3])
    agents, hosts, tasks = fleet.parts()
    agents.latest, agents.supervised, agents.common_silence = saved.times[3], saved.supervised, saved.silence
    agents.held.update(saved.held)
    agents.all.update((agent.agent_id, _whole_agent(agent, agents.held)) for agent in saved.agents)
    hosts.all.update((host.host, host) for host in saved.hosts)
    hosts.panes.update(saved.panes)
    tasks.all.update((task.task_id, _whole_task(task)) for task in saved.tasks)
    for state, ids in saved.by_state.items():
        tasks.by_state[state].update(dict.fromkeys(ids))
    tasks.ended.ids.update(dict.fromkeys(saved.ended))
    tasks.ended.past.update(saved.past)
    tasks.ended.past_badly, tasks.ended.past_until = saved.past_badly, saved.past_until
    tasks.dropped = saved.dropped
    tasks.badly |= saved.badly
    tasks.aliases.update(saved.aliases)
    fleet.runs.update((run.run_id, run) for run in saved.runs)
    fleet.mails.update((mail.message_id, mail) for mail in saved.mails)
    fleet.asks.open.update((ask.ask_id, ask) for ask in saved.asks)
    return fleet


def _small(task: TaskFacts) -> TaskFacts:
    """The task without what follows from its answers, and without what is large."""
    return structs.replace(
        task,
        result=None,
        payload=_bounded(task.payload) if task.payload else {},
        success=_small_end(task.success),
        failure=_small_end(task.failure),
    )


def _small_mail(mail: MailView) -> MailView:
    return structs.replace(mail, text=mail.text[:MAX_TEXT], answer=mail.answer[:MAX_TEXT])


def _small_ask(ask: AskRow) -> AskRow:
    return structs.replace(ask, input=_bounded(ask.input), diff=None if ask.diff is None else ask.diff[:LARGEST_VALUE])


def _small_end(end: AttemptEnd | None) -> AttemptEnd | None:
    return end if end is None or end.result is None else structs.replace(end, result=_bounded(end.result))


def _bounded(value: Any) -> Any:
    size = len(_encode(value))
    return value if size <= LARGEST_VALUE else {"left_out": f"{size} bytes; `history` has the message"}


def _whole_agent(agent: AgentFacts, held: dict[str, set[str]]) -> AgentFacts:
    agent.tasks = held.setdefault(agent.agent_id, set())
    fresh = AgentFacts(agent_id=agent.agent_id)
    for name in ("beats", "cpu_trail", "memory_trail", "ends"):
        setattr(agent, name, deque(getattr(agent, name), maxlen=getattr(fresh, name).maxlen))
    return agent


def _whole_task(task: TaskFacts) -> TaskFacts:
    if task.state is TaskState.COMPLETE and task.success is not None:
        task.result = task.success.result
    elif task.state is TaskState.FAILED and task.failure is not None:
        task.result = task.failure.result
    return task
