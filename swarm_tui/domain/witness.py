"""Three witnesses of each agent, process, pane and bus: where they disagree, and what to do about it."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Witness = Literal["hung", "foreign", "stray", "split"]

ADVICE: Mapping[str, str] = {
    "hung": "its process lives but says nothing: it is restarted; its log holds what its threads did",
    "foreign": "started by hand: no supervisor minds it; end it where it runs",
    "stray": "it has a pane but the layout does not name it: stop it, or add it to the layout",
    "split": "two processes speak under this id, perhaps on two hosts: end one, and name it in one layout only",
}


class Testimony(Struct, frozen=True, kw_only=True):
    """The sightings of one agent id. `bus_pids` are the processes of this host that spoke for it lately."""

    pane: bool
    alive: bool
    in_layout: bool
    silent: bool = False
    heard: bool = False
    pid: int | None = None
    bus_pids: frozenset[int] = frozenset()
    elsewhere: bool = False
    """Another host's supervisor has a pane for it."""


def judge(seen: Testimony) -> Witness | None:
    """Return the word for how the witnesses disagree (see Witness); None when they do not."""
    if seen.pane and not seen.in_layout:
        return "stray"
    if seen.alive and seen.heard and (seen.elsewhere or seen.bus_pids - {seen.pid}):
        return "split"
    if seen.alive and seen.silent:
        return "hung"
    if seen.heard and not seen.alive and not seen.elsewhere:
        return "foreign"
    return None


class AgentPulse(Struct, frozen=True, kw_only=True):
    """A live process that should speak: when it was last heard (or started), on one monotonic clock."""

    agent_id: str
    last: float


def silent_ones(
    pulses: list[AgentPulse], now: float, *, silent_after: float, bus_since: float | None, echo: float | None
) -> list[str]:
    """Return the ids of those that are hung, silent for `silent_after` s; none, when the bus itself may be at fault.

    `bus_since` is when the link came up (None: it is down), `echo` when our own voice was last heard over it. When all
    of several fell silent together it is the broker.
    """
    if bus_since is None or now - bus_since < silent_after or echo is None or now - echo > silent_after / 2:
        return []
    silent = [pulse for pulse in pulses if now - pulse.last >= silent_after]
    if len(pulses) > 2 and len(silent) == len(pulses):
        return []
    return [pulse.agent_id for pulse in silent]
