"""A host's word on its swarm, which the bus does not bring: it was brought down, or its supervisor does nothing."""

from msgspec import Struct

from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.problems import Problem

#: Troubles of what a `down` ends.
_ENDS_TOO = frozenset({"broker", "dispatcher", "host"})


class Here(Struct, frozen=True, kw_only=True):
    """A host's word on its swarm; empty where that was not brought up here."""

    host: str = ""
    down: bool = False
    """It was brought down since the screen opened."""
    trouble: str = ""
    """Why its supervisor lives and does nothing."""
    todo: str = ""
    """The thing to do about the one or the other."""


def is_down(here: Here, fleet: Fleet) -> bool:
    """Tell whether the swarm was brought down: on this host, and no other has it."""
    others = any(host.online for host in fleet.hosts.values() if host.host != here.host)
    return here.down and not (fleet.broker_up and others)


def with_here(found: list[Problem], here: Here, fleet: Fleet) -> list[Problem]:
    """Return the problems with what this host tells first, and without what only follows from it."""
    if is_down(here, fleet):
        what = f"{fleet.swarm} was brought down: all is as it was"
        told = Problem(severity="warning", subject="swarm", id="", what=what, todo=here.todo, kind="down")
        return [told, *(problem for problem in found if problem.subject not in _ENDS_TOO)]
    if not here.trouble:
        return found
    told = Problem(severity="critical", subject="host", id=here.host, what=here.trouble, todo=here.todo, kind="stuck")
    return [told, *(problem for problem in found if (problem.subject, problem.id) != ("host", here.host))]
