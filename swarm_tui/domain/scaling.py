"""The number of agents that a role gets: the dispatcher's wish within what layout and machine allow."""

from msgspec import Struct

#: Memory that must stay free before one more agent is started, bytes.
SPARE_MEMORY = 256 * 1024 * 1024


class RoleCount(Struct, frozen=True, kw_only=True):
    """A role as it is: `idle` are ids that do nothing, the first to be let go first."""

    role: str
    low: int
    high: int
    running: int
    idle: tuple[str, ...] = ()
    crashing: bool = False
    last_down: float | None = None
    down_every: float = 60.0
    """Seconds between two of it that are let go."""


class Scaling(Struct, frozen=True, kw_only=True):
    """Start `up` more, or let `down` go; `reason` is for people and set when less is done than was wished."""

    up: int = 0
    down: str | None = None
    reason: str = ""


def scale(
    role: RoleCount, desired: int, *, now: float, fleet: int, cap: int, memory_left: int, agent_memory: int, asked: bool
) -> Scaling:
    """Return the next step towards `desired`.

    `fleet` is how many agents run in all and `cap` how many may; memory is bytes. `asked`: a person asked, so that
    more than one may go at a time (the caller asks again until it is done).
    """
    wanted = max(role.low, min(role.high, desired))
    limited = f"{desired} asked, the layout allows {role.low} to {role.high}" if wanted != desired else ""
    if wanted > role.running:
        if role.crashing:
            return Scaling(reason="not scaled while it crash-loops")
        room = min(wanted - role.running, max(0, cap - fleet), _by_memory(memory_left, agent_memory))
        if room < wanted - role.running:
            limited = "the fleet's cap" if cap - fleet <= room else "the memory that is left"
            limited = f"{limited} allows {room} more of {wanted - role.running}"
        return Scaling(up=room, reason=limited)
    if wanted < role.running and role.idle:
        if not asked and role.last_down is not None and now - role.last_down < role.down_every:
            return Scaling(reason=limited)
        return Scaling(down=role.idle[0], reason=limited)
    return Scaling(reason=limited)


def _by_memory(left: int, each: int) -> int:
    return max(0, (left - SPARE_MEMORY) // max(1, each))
