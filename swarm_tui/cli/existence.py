"""Checks that a swarm is there, and an agent in it, before a command says anything to them; and that it was heard."""

import time
from collections.abc import Callable, Iterator

from swarm_tui.cli.common import NO_SUCH, Failure, Target, note
from swarm_tui.cli.follow import Follower
from swarm_tui.cli.journal_reader import has_journal
from swarm_tui.config.model import RunSpec
from swarm_tui.config.urls import shown_url
from swarm_tui.domain.views import AgentView, keeps_record
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.names import type_matches
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind

#: Seconds in which a broker brings our own word back.
HEARD_WITHIN = 5.0
#: Seconds in which a dispatcher tells what it made of a halt, and between two times that it is asked.
_TAKEN_WITHIN, _LOOK = 10.0, 0.2


def check_swarm_exists(follower: Follower, found: Target) -> None:
    """Raises Failure (exit 4) when neither this machine nor the broker knows of the swarm.

    A broker that does not let us hear our own word in time is given the benefit of the doubt, unless it told that it
    lets us say nothing there.
    """
    if not is_heard_of(follower, found):
        raise Failure(nothing_heard(found, follower.operator.forbidden), NO_SUCH)


def check_heard(follower: Follower, condition: Callable[[], bool], otherwise: str) -> None:
    """Wait until the broker tells everybody what we said. Raises Failure, which begins with `otherwise`, when not."""
    operator = follower.operator
    if not follower.wait_for(lambda: condition() or bool(operator.forbidden), HEARD_WITHIN) or not condition():
        why = operator.forbidden or f"the broker did not pass it on within {HEARD_WITHIN:g} s; try again"
        raise Failure(f"{otherwise}: {why}")


class Echoes:
    """Keeps the ids of the words of one kind that the broker has passed on since; read them under the lock."""

    def __init__(self, follower: Follower, kind: Kind) -> None:
        self.ids: set[str] = set()
        self._kind = kind
        follower.operator.on_event(self._hear)

    def _hear(self, event: Event | Rejected) -> None:
        if isinstance(event, Event) and event.kind is self._kind:
            self.ids.add(event.id)


def check_halt_counts(follower: Follower, halt_id: str, otherwise: str) -> None:
    """Wait until the dispatcher, where one leads, says that this halt stands, or none if `halt_id` is empty.

    A word that the broker passes on may be one that counts for nothing. Raises Failure, which begins with `otherwise`.
    """
    if nobody_leads(follower):
        return
    end, answered = time.monotonic() + _TAKEN_WITHIN, False
    while time.monotonic() < end:
        reply = follower.operator.query("guard", timeout=1.0)
        if reply is not None and reply.rows and isinstance(reply.rows[0], dict):
            # One of a version that does not tell it is believed unheard.
            if reply.rows[0].get("halt", halt_id) == halt_id:
                return
            if answered:
                raise Failure(
                    f"{otherwise}: the dispatcher lets our word count for nothing; `swarm-tui watch` shows why, "
                    "and --identity names an operator's join file"
                )
            answered = True
        time.sleep(_LOOK)
    raise Failure(f"{otherwise}, as far as is known: the dispatcher does not answer; `swarm-tui status` shows it")


def halted_by(follower: Follower) -> str | None:
    """Return why the swarm is halted, None where it is not: as was heard, else as the dispatcher says.

    A broker need not bring what it retains to whoever comes late.
    """
    with follower.lock:
        if follower.fleet.halted is not None:
            return follower.fleet.halted
    reply = None if nobody_leads(follower) else follower.operator.query("guard", timeout=2.0)
    row = reply.rows[0] if reply is not None and reply.rows and isinstance(reply.rows[0], dict) else {}
    return clean(str(row.get("halted") or "no reason given"), 300) if row.get("halt") else None


def nobody_leads(follower: Follower) -> bool:
    """Return whether no dispatcher is known to lead now."""
    with follower.lock:
        leader = follower.fleet.dispatcher
        return leader is None or not leader.online


def no_dispatcher(found: Target) -> str:
    """Return the sentence that no dispatcher is there, and how to have one."""
    return (
        f"no dispatcher is there in {found.swarm}; `swarm-tui start task-manager-01` starts the layout's, "
        "else add a task-manager to it"
    )


def tell_who_is_missing(follower: Follower, found: Target, patience: float) -> None:
    """Say on stderr, where no dispatcher is there, that one is waited for."""
    if nobody_leads(follower):
        note(f"{no_dispatcher(found)}; trying for {patience:g} s")


def check_record_exists(follower: Follower, found: Target) -> None:
    """Raises Failure when there is no such swarm (exit 4), or agents are there and none of them keeps the record."""
    check_swarm_exists(follower, found)
    with follower.lock:
        agents = follower.fleet.agents
        if agents and not keeps_record(agents.values()):
            raise Failure(
                f"nobody in {found.swarm} keeps the record: an agent of the role monitoring does, and none is there; "
                "`swarm-tui status` shows who is"
            )


def nothing_heard(found: Target, forbidden: str = "") -> str:
    """Return the sentence that nothing is heard of the swarm; `forbidden` says what its broker does not let us do."""
    rules = f", and {forbidden}" if forbidden else ""
    return (
        f"no swarm `{found.swarm}` on {shown_url(found.broker.url)}: nothing is heard of it{rules}; "
        "`swarm-tui up` starts one, --swarm names another"
    )


def is_heard_of(follower: Follower, found: Target) -> bool:
    """Return whether this machine or the broker knows of the swarm, as far as could be heard in time."""
    settled = follower.settle()
    if found.running is not None or has_journal(found.state):
        return True
    fleet = follower.fleet
    with follower.lock:
        if fleet.agents or fleet.hosts or fleet.scale or fleet.halted or fleet.dispatcher is not None:
            return True
    return not settled and not follower.operator.forbidden


def check_agent_exists(follower: Follower, found: Target, agent_id: str, task_type: str) -> str:
    """A sentence when the agent, as far as is known, does not do the type; else empty. Call it after the swarm's check.

    Raises Failure (exit 4) for an agent that neither the layout nor the broker knows.
    """
    planned = {spec.agent_id: spec for spec in _specs(found)}
    with follower.lock:
        view = follower.fleet.agents.get(agent_id)
        known = sorted({*planned, *follower.fleet.agents})
    if view is None and agent_id not in planned:
        from swarm_tui.config.document import near

        hint = near(agent_id, known) or "; `swarm-tui status` lists those known"
        raise Failure(f"no agent `{agent_id}` in {found.swarm}{hint}", NO_SUCH)
    if _can_do(view, planned.get(agent_id), task_type):
        return ""
    return f"{agent_id} does no {task_type}, as far as is known: unless it learns to, the task is not done"


def _specs(found: Target) -> Iterator[RunSpec]:
    from swarm_tui.supervisor.plan import load_plan  # With YAML, which only a task for one agent has to wait for.

    plan = load_plan(found.state)
    if plan is not None and plan.swarm == found.swarm:
        yield from plan.specs(found.state)


def _can_do(view: AgentView | None, spec: RunSpec | None, task_type: str) -> bool:
    """Return whether it says that it does the type, or the layout does; one of whom nothing is said may do all."""
    said = list(view.capabilities) if view is not None else []
    if spec is None:
        return not said or any(type_matches(pattern, task_type) for pattern in said)
    rule = spec.types.get(task_type)
    ruled = rule is not None and (spec.role in rule.roles or spec.agent_id in rule.agents)
    return ruled or task_type in spec.handlers or any(type_matches(pattern, task_type) for pattern in said)
