"""The number of agents that a role should have: what waits and runs, within the layout's limits, without flapping."""

from itertools import islice

from swarm_tui.domain.dispatch import freshness
from swarm_tui.domain.dispatch.model import DispatchSettings, ScaleTarget, State
from swarm_tui.domain.dispatch.offer import able, is_live
from swarm_tui.domain.dispatch.queue import LaneKey
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.dispatch.waiting_reasons import why_unserved
from swarm_tui.domain.states import OPEN, TaskState
from swarm_tui.protocol.bodies import Alert, Scale
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.names import canonical_role
from swarm_tui.protocol.topics import Kind

UP_AT_ONCE = 2
UNSERVED_AFTER = 3.0
#: Alerts for tasks that wait for one absent agent: not more than this at a time.
MAX_NAMED = 50


def heard(turn: Turn, event: Event, body: Scale | None) -> None:
    """Hear roles/<role>/scale: an operator's number stands until it is cleared; another dispatcher's does not."""
    role = canonical_role(event.key)
    if freshness.proves_nothing(turn, body) or (body is not None and freshness.is_old_order(turn, event)):
        return
    if event.sender == turn.state.me:
        return
    if body is None:
        turn.state.targets.pop(role, None)
    else:
        pinned = canonical_role(event.role or "") != "task-manager" or bool(body.pinned)
        turn.state.targets[role] = ScaleTarget(desired=body.desired, looked=turn.now, lowered=turn.now, pinned=pinned)


def look(turn: Turn) -> None:
    """Say each role's desired number when it changed, looking every `scale_every` seconds."""
    state, settings = turn.state, turn.state.settings
    for role, (low, high) in settings.scale.items():
        if low >= high:
            continue
        target = state.targets.get(role)
        if target is None:
            target = state.targets[role] = ScaleTarget(
                desired=_present(state, role) or low, looked=turn.now - settings.scale_every, lowered=turn.now
            )
        if target.pinned or turn.now - target.looked < settings.scale_every:
            continue
        target.looked = turn.now
        needed = demand(state, role)
        wanted = max(low, min(high, needed))
        desired = decide(target, wanted, turn.now, settings, crashlooping=_crashloops(state, role))
        if desired != target.desired:
            if desired < target.desired:
                target.lowered = turn.now
            target.desired = desired
            turn.say(Kind.SCALE, Scale(desired=desired, reason=f"{needed} tasks wait or run"), role)


def decide(target: ScaleTarget, wanted: int, now: float, settings: DispatchSettings, *, crashlooping: bool) -> int:
    """Return the next desired number: up by two at most, down by one at a time to the highest wish of late."""
    target.recent.append((now, wanted))
    while target.recent and target.recent[0][0] < now - settings.scale_down_after:
        target.recent.popleft()
    if wanted > target.desired:
        return target.desired if crashlooping else min(wanted, target.desired + UP_AT_ONCE)
    floor = max(value for _, value in target.recent)
    if floor < target.desired and now - target.lowered >= settings.scale_down_every:
        return target.desired - 1
    return target.desired


def demand(state: State, role: str) -> int:
    """Return the number of tasks that wait or run and that the role does."""
    types = {name for name, rule in state.settings.rules.items() if role in rule.roles}
    waiting = sum(count for name, count in state.queue.by_type().items() if name in types)
    running = sum(
        1
        for task_ids in state.held_by.values()
        for task_id in task_ids
        if state.jobs[task_id].task.type in types and state.jobs[task_id].state in OPEN - {TaskState.QUEUED}
    )
    return waiting + running


def _present(state: State, role: str) -> int:
    return sum(record.role == role and record.status in ("online", "busy") for record in state.agents.values())


def _crashloops(state: State, role: str) -> bool:
    return any(agent_id in state.crashlooping and record.role == role for agent_id, record in state.agents.items())


def _name_of(key: LaneKey) -> str:
    """The name of the alert that nobody does the lane's tasks."""
    return ":".join(filter(None, ("nobody", key.task_type, key.wanted)))


def unserved(turn: Turn) -> None:
    """Tasks that are declared, but nobody is there to do them: they wait, and an alert says so."""
    state = turn.state
    agents = [record for record in state.agents.values() if is_live(turn, record)]
    keys = [*state.queue.shared, *islice((key for named in state.queue.named.values() for key in named), MAX_NAMED)]
    queued = {_name_of(key) for key in keys}
    names = {_name_of(key): key for key in keys if not able(turn, key, agents)}
    for name, key in names.items():
        since = state.unserved.setdefault(name, turn.now)
        if turn.now - since >= UNSERVED_AFTER:
            state.unserved[name] = float("inf")
            message = f"{key.task_type} waits: {why_unserved(turn, key, agents)}"
            turn.say(Kind.ALERT, Alert(severity="warning", message=message, name=name))
    for name in [name for name in state.unserved if name not in names]:
        if state.unserved.pop(name) == float("inf"):
            over = "somebody is there again" if name in queued else "no such task is queued any more"
            over = f"{name.removeprefix('nobody:')}: {over}"
            turn.say(Kind.ALERT, Alert(severity="info", message=over, name=name, active=False))
