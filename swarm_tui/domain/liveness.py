"""The meaning of an agent's silence: suspect, lost, or the broker's own. Times are seconds."""

from collections.abc import Iterable

from msgspec import Struct

BEAT = 10.0
"""Between two heartbeats."""
SUSPECT_AFTER = 2.5 * BEAT
LOST_AFTER = 3.5 * BEAT
"""Three heartbeats missed, and half of one as grace."""
COMMON_GAP_AFTER = 1.2 * BEAT
"""Of several agents one is always heard within a beat: when none is for longer, the gap is not theirs."""
PAUSE = 5.0
"""Between two ticks: more than this, and it was we who slept."""
OFFLINE_KEPT = 24 * 3600.0


class Silence(Struct, frozen=True):
    """A judgement of silences: agents to call suspect, agents to call lost, and why nobody is called anything."""

    suspect: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    common: str | None = None
    """A sentence, when every agent fell silent at once."""


def judge(heard: Iterable[tuple[str, float]], now: float, since: float) -> Silence:
    """Judge the silence of live agents.

    `heard` pairs each live agent with the time it was last heard. `since` is when we could hear again (link up, our
    own sleep over): nobody is charged with a silence that began before it.
    """
    silent = [(agent_id, now - max(last, since)) for agent_id, last in heard]
    overdue = [(agent_id, gap) for agent_id, gap in silent if gap > SUSPECT_AFTER]
    if not overdue:
        return Silence()
    shortest = min(gap for _, gap in silent)
    if len(silent) > 1 and shortest > COMMON_GAP_AFTER:
        return Silence(
            common=f"all {len(silent)} agents fell silent together {shortest:.0f} s ago: "
            "that is the broker or our own connection, so none of them is called lost"
        )
    return Silence(
        suspect=tuple(agent_id for agent_id, gap in overdue if gap <= LOST_AFTER),
        lost=tuple(agent_id for agent_id, gap in overdue if gap > LOST_AFTER),
    )
