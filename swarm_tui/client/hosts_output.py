"""Ask every host's supervisor for a task's output, or its change: which of them has it is not known."""

from collections.abc import Iterable

import msgspec

from swarm_tui.client.operator import Operator
from swarm_tui.domain.fleet import Fleet
from swarm_tui.journal.task_output import OutputPage
from swarm_tui.protocol.bodies import JsonObject
from swarm_tui.worktrees.change import Change
from swarm_tui.worktrees.rows import change_of

_WAIT = 2.0
#: The same for a change, which git must be asked for first.
_WAIT_CHANGE = 20.0


def hosts_online(fleet: Fleet, *, but: str = "") -> int:
    """Return how many hosts have a supervisor that answers, `but` left out."""
    return sum(view.online for host, view in fleet.hosts.items() if host != but)


def output_of_hosts(operator: Operator, args: JsonObject, hosts: int) -> list[OutputPage]:
    """Return the pages of the last attempt that any of so many `hosts` has; none where none has. Blocks up to 2 s.

    `args` are those of the query `output`.
    """
    replies = operator.query_all("output", dict(args), _WAIT, enough=hosts) if hosts else []
    return last_attempt(reply.rows for reply in replies)


def change_of_hosts(operator: Operator, task_id: str, hosts: int, *, patch: bool = True) -> Change | None:
    """Return what a task changed in its worktree, as the host that has it tells; None where none of so many does.

    Blocks up to 20 s.
    """
    args: JsonObject = {"task_id": task_id, "patch": patch}
    replies = operator.query_all("diff", args, _WAIT_CHANGE, enough=hosts) if hosts else []
    found = [change for reply in replies if not reply.more and (change := change_of(reply.rows)) is not None]
    return next((change for change in found if change.state != "gone"), next(iter(found), None))


def last_attempt(answers: Iterable[list[object]]) -> list[OutputPage]:
    """Return the pages of the answer with the last attempt; an answer of another shape counts for nothing."""
    best: list[OutputPage] = []
    for rows in answers:
        try:
            pages = msgspec.convert(rows, list[OutputPage])
        except msgspec.ValidationError:
            continue
        if pages and (not best or pages[-1].attempt > best[-1].attempt):
            best = pages
    return best


def joined(pages: list[OutputPage], position: int) -> str:
    """Return the text of the pages from `position` on; a line in brackets stands for what was left out."""
    parts = []
    for page in pages:
        if page.start > position:
            parts.append(f"[… {page.start - position:,} bytes left out …]\n")
        parts.append(page.text)
        position = page.next
    return "".join(parts)
