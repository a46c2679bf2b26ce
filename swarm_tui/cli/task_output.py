"""A task's own output, for `swarm-tui logs --task`: from this machine's files, or from the host that has them."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click
import msgspec

from swarm_tui.cli.common import NO_SUCH, Failure, Target, reader_is_gone
from swarm_tui.cli.follow import Follower, follow
from swarm_tui.cli.journal_reader import journal_is_current, journal_task
from swarm_tui.client.hosts_output import hosts_online, joined, output_of_hosts
from swarm_tui.journal.pane_log import readable
from swarm_tui.journal.task_output import OutputPage, output_rows
from swarm_tui.protocol.names import is_task_id

#: Gets the arguments of a query `output`; returns its pages, none where nothing is kept.
Ask = Callable[[dict[str, object]], list[OutputPage]]
#: Seconds between two looks of `-f`, on this machine and over the bus.
_HERE, _REMOTE = 0.1, 1.0


def show_output(
    found: Target, task_id: str, attempt: int | None, lines: int, *, keep: bool, raw: bool, here: bool
) -> None:
    """Print the last `lines` lines; with `keep` go on until the attempt has ended. Raises Failure for no output.

    With `here`, this machine's files come first, and the bus is asked only when they have not the last attempt.
    """
    if not is_task_id(task_id):
        raise Failure(f"{task_id!r} is no task id: `swarm-tui tasks` lists those known", NO_SUCH)
    asked: dict[str, object] = {"task_id": task_id, "attempt": attempt}
    with ExitStack() as stack:
        ask, pause = of_files(found.state.tasks()), _HERE
        pages = ask({**asked, "lines": lines}) if here else []
        if not pages or (attempt is None and _has_later(found, task_id, pages[-1].attempt)):
            remote = _of_hosts(stack.enter_context(follow(found)))
            elsewhere = remote({**asked, "lines": lines})
            if elsewhere and (not pages or elsewhere[-1].attempt > pages[-1].attempt):
                ask, pause, pages = remote, _REMOTE, elsewhere
        if not pages:
            which = "" if attempt is None else f" of its attempt {attempt}"
            raise Failure(f"no output of {task_id}{which} is kept: it started no program, or it is not known", NO_SUCH)
        position = show(pages, raw, pages[0].start)
        while keep and not (pages[-1].ended and position >= pages[-1].size):
            if reader_is_gone():
                raise BrokenPipeError
            time.sleep(pause)
            if new := ask({"task_id": task_id, "attempt": pages[-1].attempt, "since": position}):
                pages, position = new, show(new, raw, position)


def _has_later(found: Target, task_id: str, attempt: int) -> bool:
    """Return whether the journal here knows of a later attempt, which then ran elsewhere or printed nothing."""
    try:
        task = journal_task(found.state, task_id) if journal_is_current(found.state) else None
    except Failure:
        return False
    return task is not None and (task.attempt or 0) > attempt


def show(pages: list[OutputPage], raw: bool, position: int) -> int:
    """Print what the pages hold from `position` on, and say what is missing; the position after it."""
    text = joined(pages, position)
    click.echo(text if raw else _plain(text), nl=False, color=raw or None)
    return pages[-1].next if pages else position


def _plain(text: str) -> str:
    return "\n".join(readable(line.encode("utf-8", "replace")) for line in text.split("\n"))


def of_files(folder: Path) -> Ask:
    """Ask this machine's files."""
    return lambda args: [msgspec.convert(row, OutputPage) for row in output_rows(folder, args)]


def _of_hosts(follower: Follower) -> Ask:
    """Ask every host's supervisor; where several had the task, the last attempt counts."""
    follower.settle()

    def ask(args: dict[str, object]) -> list[OutputPage]:
        with follower.lock:
            hosts = hosts_online(follower.fleet)
        return output_of_hosts(follower.operator, args, hosts)

    return ask
