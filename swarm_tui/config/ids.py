"""The agents that a layout's entries are: ids and roles, in the order of the file."""

from collections.abc import Mapping

from msgspec import Struct

from swarm_tui.config.model import AgentEntry, Layout
from swarm_tui.protocol.names import canonical_role


class Named(Struct, frozen=True):
    """An agent: its id, its role under the canonical name, and the index of its entry in `agents`."""

    agent_id: str
    role: str
    entry: int


def bounds(entry: AgentEntry) -> tuple[int, int] | None:
    """The entry's (min, max), or None when its number is fixed."""
    if entry.min is None and entry.max is None:
        return None
    low = entry.min if entry.min is not None else min(1, entry.max or 1)
    return low, entry.max if entry.max is not None else max(1, low)


def role_limits(layout: Layout) -> dict[str, tuple[int, int]]:
    """Return role to (min, max) of its entries that have them, together; entries of a fixed number do not count."""
    found: dict[str, tuple[int, int]] = {}
    for entry in layout.agents:
        if (limits := bounds(entry)) is not None:
            low, high = found.get(canonical_role(entry.role), (0, 0))
            found[canonical_role(entry.role)] = low + limits[0], high + limits[1]
    return found


def spare_agents(layout: Layout, agents: list[Named]) -> tuple[set[str], set[str]]:
    """Return the ids of those of `agents` that are of entries with `min` and `max`: the first `min`, and the rest."""
    always: set[str] = set()
    spare: set[str] = set()
    for index, entry in enumerate(layout.agents):
        if (limits := bounds(entry)) is not None:
            own = [agent.agent_id for agent in agents if agent.entry == index]
            always.update(own[: limits[0]])
            spare.update(own[limits[0] :])
    return always, spare


def name_agents(layout: Layout, counts: Mapping[str, int] | None = None) -> list[Named]:
    """Every agent of the layout.

    An entry that stands for one agent keeps its `id`; otherwise ids are `<id or role>-01`, `-02` …, counted on over
    entries of the same name. `counts` says how many a role with `min` and `max` has now; without it, its `min`.
    """
    agents: list[Named] = []
    used: dict[str, int] = {}
    taken = {entry.id for entry in layout.agents if entry.id and _number(entry, counts) == 1 and bounds(entry) is None}
    for index, entry in enumerate(layout.agents):
        role = canonical_role(entry.role)
        own = entry.id if entry.id != "auto" else None
        number = _number(entry, counts)
        if own and entry.count in (None, 1) and bounds(entry) is None:
            agents.append(Named(own, role, index))
            continue
        stem = own or role
        for _ in range(number):
            used[stem] = used.get(stem, 0) + 1
            while f"{stem}-{used[stem]:02d}" in taken:
                used[stem] += 1
            agents.append(Named(f"{stem}-{used[stem]:02d}", role, index))
    return agents


def _number(entry: AgentEntry, counts: Mapping[str, int] | None) -> int:
    limits = bounds(entry)
    if limits is None:
        return entry.count if entry.count is not None else 1
    wanted = (counts or {}).get(canonical_role(entry.role), limits[0])
    return max(limits[0], min(limits[1], wanted))
