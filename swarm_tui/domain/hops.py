"""A task's steps as people read them: one for each thing that happened, whoever told of it, the cause first."""

from collections.abc import Iterable

import msgspec

from swarm_tui.protocol.rows import Hop

#: What the dispatcher remembers under a word of its own, by the word of the act or message that told it.
_WORD = {
    "redriven": "retry",
    "withdrawn": "retry",
    "cancelling": "cancel",
    "denied": "deny",
    "approved": "approve",
    "retrying": "retry-wait",
}
#: Steps that are heard, and remembered by the dispatcher with other facts.
_TWICE = frozenset({*_WORD.values(), "cancelled"})
_ENDING = frozenset({"cancel", "deny"})
_NEAR = 5.0
"""Seconds within which two who tell of the same thing may say that it was."""


def timeline(hops: Iterable[Hop]) -> list[Hop]:
    """Return the steps in order: what the dispatcher remembers and what was heard of one thing are one step."""
    told: list[Hop] = []
    for hop in hops:
        fresh = msgspec.structs.replace(hop, what=_WORD.get(hop.what, hop.what))
        same = next((number for number, known in enumerate(told) if _same(known, fresh)), None)
        if same is None:
            told.append(fresh)
        else:
            told[same] = _both(told[same], fresh)
    return sorted((_settled(hop, told) for hop in told), key=lambda hop: (hop.at, hop.what not in _ENDING))


def _same(one: Hop, other: Hop) -> bool:
    pairs = ((one.agent_id, other.agent_id), (one.attempt, other.attempt), (one.by, other.by))
    alike = all(a == b or not a or not b for a, b in pairs)
    return one.what == other.what and alike and abs(one.at - other.at) <= _NEAR and one.what in _TWICE


def _both(one: Hop, other: Hop) -> Hop:
    return msgspec.structs.replace(
        one,
        at=min(one.at, other.at),
        agent_id=one.agent_id or other.agent_id,
        attempt=one.attempt or other.attempt,
        by=one.by or other.by,
        detail=max(one.detail, other.detail, key=len),
    )


def _settled(hop: Hop, told: list[Hop]) -> Hop:
    """The step with its place: an act is no later than what came of it, and who did it is said with the act alone."""
    if hop.what in _ENDING:
        ends = [end.at for end in told if end.what == "cancelled" and abs(end.at - hop.at) <= _NEAR]
        return msgspec.structs.replace(hop, at=min([hop.at, *ends]))
    if hop.what == "cancelled" and any(
        act.what in _ENDING and act.by == hop.by and abs(act.at - hop.at) <= _NEAR for act in told
    ):
        return msgspec.structs.replace(hop, by=None)
    return hop
