"""Reasons why tasks of the queue wait for more than their turn: nobody does them, or all who do have no room."""

from swarm_tui.domain.dispatch.agent_record import AgentRecord
from swarm_tui.domain.dispatch.model import Job, Moment, State
from swarm_tui.domain.dispatch.offer import able, has_room, is_live
from swarm_tui.domain.dispatch.queue import LaneKey
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.waiting import all_busy, away, named


class WaitingReasons:
    """Tells why tasks wait, as things are at the moment; the agents are looked at once for each sort of task."""

    def __init__(self, state: State, moment: Moment) -> None:
        self._turn = Turn(state, moment)
        self._live = [record for record in state.agents.values() if is_live(self._turn, record)]
        self._known: dict[LaneKey, str] = {}

    def of(self, job: Job) -> str:
        """Return why the job waits; empty where it does not, or where its turn comes."""
        state = self._turn.state
        key = state.queue.key_of(job.task_id) if job.state is TaskState.QUEUED else None
        if key is None:
            return ""
        if state.halted is not None:
            return "the swarm is halted: nothing is given out"
        if key not in self._known:
            self._known[key] = self._why(key)
        return self._known[key] or self._shunned(job, key)

    def _why(self, key: LaneKey) -> str:
        takers = able(self._turn, key, self._live)
        if not takers:
            return why_unserved(self._turn, key, self._live)
        if any(has_room(self._turn, record) for record in takers):
            return ""
        return all_busy([record.agent_id for record in takers], meant=bool(key.wanted))

    def _shunned(self, job: Job, key: LaneKey) -> str:
        """Tell of a job that all with room declined, or let go by, a moment ago."""
        turn, shunned = self._turn, self._turn.state.shunned
        free = [record for record in able(turn, key, self._live) if has_room(turn, record)] if shunned else []
        if not free or any(shunned.get((job.task_id, record.agent_id), 0.0) <= turn.now for record in free):
            return ""
        return f"{named(record.agent_id for record in free)} did not take it just now; it is offered again soon"


def why_unserved(turn: Turn, key: LaneKey, live: list[AgentRecord]) -> str:
    """Return why none of the agents that are there may be given the lane's tasks."""
    task_type, wanted = key.task_type, key.wanted
    records = turn.state.agents.values()
    if key.asked and (keyless := [record.agent_id for record in able(turn, key._replace(asked=False), live)]):
        return f"a person approved it, so only an agent with keys may do it; {named(keyless)} has none"
    draining = [record for record in records if record.status == "draining"]
    if drains := [record.agent_id for record in able(turn, key, draining)]:
        return f"{named(drains)} {'drains' if len(drains) == 1 else 'drain'}, and nobody else who does it is there"
    if wanted and any(record.agent_id == wanted for record in live):
        return f"{wanted}, for whom alone it is meant, does no {task_type}"
    if wanted:
        return f"{wanted}, for whom it is meant, is not there"
    if gone := [record.agent_id for record in able(turn, key, list(records))]:
        return away(gone)
    return f"no agent does {task_type}"
