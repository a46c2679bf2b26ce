"""Tells what is said now from what somebody says again who had heard it: a proof tells who said it, never when.

All of it is for swarms where words are proved; where they are not, whoever repeats a word could as well make it up.
"""

from swarm_tui.domain.dispatch.agent_record import AgentRecord
from swarm_tui.domain.dispatch.model import Attempt
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.protocol.bodies import Alert, Cleared
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from swarm_tui.protocol.writer import COMMAND_LIFE

#: Seconds for which a word is new: as long as a command's life, so that clocks may be off by no more for either.
LIFE = COMMAND_LIFE
#: Seconds within which two beats are said at once.
AT_ONCE = 1.0
#: Beats in a row that tell of a clock that is off, and after how many more it is said again.
OFF_TIMES, OFF_AGAIN = 2, 30
REPLAYED = "a word that was said before"
#: Acts that are remembered beyond which those are let go that can no longer be carried out anyway.
MANY_ACTS = 1000


def is_said_again(turn: Turn, event: Event) -> bool:
    """Return whether an act was carried out already, or its proof does not say until when it is one; refused then."""
    if event.id in turn.state.acts:
        turn.refuse(event, REPLAYED)
        return True
    if turn.state.settings.proved and event.expires_at is None:
        turn.refuse(event, "an act that does not say until when it is one")
        return True
    _remember(turn, event)
    return False


def proves_nothing(turn: Turn, body: object) -> bool:
    """Return whether it is an empty message where words are proved: whoever takes back what stands says so in words."""
    return turn.state.settings.proved and (body is None or isinstance(body, Cleared))


def is_old_order(turn: Turn, event: Event) -> bool:
    """Return whether a newer word than this is known on its retained topic (halt, a scale); refused then.

    What comes within its life counts by its id, so that two people's clocks need not agree; what is older, by its time.
    """
    state = turn.state
    if not state.settings.proved:
        return False
    last, newest = state.last_retained.get(event.topic, ("", 0.0))
    if event.id == last:
        return False
    if event.id in state.acts or (event.at <= newest and turn.wall - event.at > LIFE):
        turn.refuse(event, REPLAYED)
        return True
    state.last_retained[event.topic] = (event.id, max(newest, event.at))
    _remember(turn, event)
    return False


def _remember(turn: Turn, event: Event) -> None:
    acts = turn.state.acts
    acts[event.id] = max(turn.wall, event.at, event.expires_at or 0.0) + LIFE
    if len(acts) > MANY_ACTS and turn.wall >= turn.state.acts_looked + LIFE:
        turn.state.acts_looked = turn.wall
        turn.state.acts = {name: until for name, until in acts.items() if until > turn.wall}


def is_new_beat(turn: Turn, event: Event, record: AgentRecord) -> bool:
    """Return whether a heartbeat is the agent's newest, and said now; one that is said again is refused."""
    if not event.proved_by:
        return True
    _look_at_clock(turn, event, record)
    if record.beat_at - LIFE <= event.at <= record.beat_at:
        # Of two that an agent says at once, one may overtake the other: only what surely was heard before is told of.
        if event.id == record.beat_id or event.at < record.beat_at - AT_ONCE:
            turn.refuse(event, REPLAYED)
        return False
    if turn.wall - event.at > LIFE:
        return False
    record.beat_at, record.beat_id = event.at, event.id
    return True


def is_former_life(turn: Turn, event: Event, record: AgentRecord) -> bool:
    """Return whether somebody says again that a process is there which has ended since; refused then."""
    if not event.proved_by:
        return False
    off = record.said_at - event.at
    if record.status == "offline" and off >= 0 and (off <= LIFE or turn.wall - event.at > LIFE):
        turn.refuse(event, REPLAYED)
        return True
    record.said_at = event.at
    return False


def _look_at_clock(turn: Turn, event: Event, record: AgentRecord) -> None:
    """Say whose clock is off, and by how much, once two beats in a row tell so; and that it is right again.

    An old beat of an agent that also beats now is one that somebody repeats, and tells nothing.
    """
    off, name = event.at - turn.wall, f"off:{record.agent_id}"
    if abs(off) <= LIFE:
        if record.off_times >= OFF_TIMES:
            over = f"the clock of {record.agent_id} is right again"
            turn.say(Kind.ALERT, Alert(severity="info", message=over, name=name, active=False))
        record.off_times, record.off_at = 0, 0.0
        return
    if event.at <= record.off_at or (off < 0 and turn.wall - record.beat_at <= LIFE):
        return
    record.off_times, record.off_at = record.off_times + 1, event.at
    if record.off_times == OFF_TIMES or record.off_times % OFF_AGAIN == 0:
        place = f"{record.agent_id} ({event.proved_by.rpartition('@')[2]})"
        behind = "behind ours: its words are too old to prove that it lives, so it counts as lost"
        ahead = "ahead of ours: whoever heard what it says could say it again for so long"
        message = f"the clock of {place} is {abs(off):.0f} s {behind if off < 0 else ahead}; set that clock, or ours"
        turn.say(Kind.ALERT, Alert(severity="warning", message=message, name=name, agent_id=record.agent_id))


def is_live(turn: Turn, event: Event) -> bool:
    """Return whether the event says how things are now: not what the broker or anybody else had kept."""
    return not event.retained and not (event.proved_by and turn.wall - event.at > LIFE)


def is_new_sign(turn: Turn, event: Event, attempt: Attempt) -> bool:
    """Return whether what is said of the attempt is newer than all that was said of it: a sign that it goes on."""
    if not event.proved_by:
        return True
    if turn.wall - event.at > LIFE or attempt.heard_at - LIFE <= event.at <= attempt.heard_at:
        return False
    attempt.heard_at = event.at
    return True


def is_older_host(turn: Turn, event: Event) -> bool:
    """Return whether a host's word is older than the newest that is known of it; refused then."""
    newest = turn.state.hosts.get(event.key, 0.0)
    if not event.proved_by or not newest - LIFE <= event.at < newest:
        old = bool(event.proved_by) and event.at < newest and turn.wall - event.at > LIFE
        if not old:
            turn.state.hosts[event.key] = event.at
            return False
    turn.refuse(event, REPLAYED)
    return True
