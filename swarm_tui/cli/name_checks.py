"""Names that commands are given: one that nothing can have is bad usage, whoever is asked and whatever runs."""

from collections.abc import Callable, Iterable

from swarm_tui.cli.common import USAGE, Failure
from swarm_tui.protocol import names


def check_agents(given: Iterable[str]) -> None:
    """Raises Failure (exit 2) for a name that no agent, and no role, can have."""
    for name in given:
        _check(names.check_agent_id, name)


def check_role(name: str) -> None:
    """Raises Failure (exit 2) for a name that no role can have."""
    _check(names.check_role, name)


def check_tasks(given: Iterable[str]) -> None:
    """Raises Failure (exit 2) for an id that no task can have."""
    for name in given:
        _check(names.check_task_id, name)


def check_run(name: str) -> None:
    """Raises Failure (exit 2) for an id that no run can have."""
    _check(names.check_run_id, name)


def check_swarm(name: str) -> None:
    """Raises Failure (exit 2) for a name that no swarm can have."""
    _check(names.check_swarm, name)


def _check(check: Callable[[str], str], name: str) -> None:
    try:
        check(name)
    except names.InvalidNameError as error:
        raise Failure(str(error), USAGE) from None
