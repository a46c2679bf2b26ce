"""Words that nobody proved, where words are proved: which of them count.

A word of an agent without keys on a task counts once the dispatcher has said that the task is its own. An empty message
takes away what has ended, and nothing that stands: whoever may do that says so first, by a word with a proof.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from swarm_tui.domain.fleet.agent_facts import AgentFacts
from swarm_tui.domain.fleet.task_facts import TaskFacts
from swarm_tui.domain.views import DispatcherView
from swarm_tui.protocol.ask_bodies import Ask
from swarm_tui.protocol.bodies import (
    Assigned,
    AttemptUsage,
    Cleared,
    Complete,
    Declined,
    DeploymentStatus,
    Failed,
    Progress,
    Started,
)
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind

#: Why something counts for nothing.
NOT_THEIRS = "a word on a task of one to whom it was not given"
NO_WORD = "an empty message on what stands, which proves nothing"
#: Words that are kept until then, of all and of one agent for one task: they may overtake the dispatcher's.
_MOST, _MOST_OF_ONE = 200, 8


class Known(Protocol):
    """The knowledge of the swarm so far."""

    halted: str | None
    dispatcher: DispatcherView | None

    @property
    def scale(self) -> Mapping[str, Any]: ...
    @property
    def agents(self) -> Mapping[str, AgentFacts]: ...
    @property
    def tasks(self) -> Mapping[str, TaskFacts]: ...


class Doubts:
    """Keeps the words on tasks that came before the dispatcher's, if that comes at all."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], list[Event]] = {}

    def why_not(self, event: Event, known: Known) -> str:
        """Return why a word that nobody proved counts for nothing now; empty when it counts."""
        if isinstance(event.body, Cleared):
            return NO_WORD if _stands(event, known) else ""
        return "" if self._is_theirs(event, known.tasks) else NOT_THEIRS

    def _is_theirs(self, event: Event, tasks: Mapping[str, TaskFacts]) -> bool:
        body = event.body
        if isinstance(body, Assigned):
            return False
        if isinstance(body, DeploymentStatus):
            task = tasks.get(body.task_id or "")
            return task is None or event.sender in task.given
        if not isinstance(body, Started | Progress | Complete | Failed | Declined | Ask | AttemptUsage):
            return True
        task = tasks.get(body.task_id)
        if task is not None and body.agent_id in task.given:
            return True
        kept = self._kept.setdefault((body.task_id, body.agent_id), [])
        kept.append(event)
        del kept[:-_MOST_OF_ONE]
        if len(self._kept) > _MOST:
            del self._kept[next(iter(self._kept))]
        return False

    def take(self, event: Event) -> list[Event]:
        """Return what counts now that the dispatcher has said whose the task is."""
        body = event.body
        return self._kept.pop((body.task_id, body.agent_id), []) if isinstance(body, Assigned) else []


def _stands(event: Event, known: Known) -> bool:
    if event.kind is Kind.HALT:
        return known.halted is not None
    if event.kind is Kind.DISPATCHER:
        return known.dispatcher is not None and known.dispatcher.online
    if event.kind is Kind.STATUS:
        agent = known.agents.get(event.key)
        return agent is not None and agent.is_there
    return event.kind is Kind.SCALE and event.key in known.scale
