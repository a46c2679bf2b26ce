"""`swarm-tui logs`: an agent's output, kept over restarts."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import click

from swarm_tui.cli.common import NO_SUCH, Failure, Target, broker_option, reader_is_gone, swarm_option, target
from swarm_tui.cli.completers import agents, task_ids
from swarm_tui.cli.follow import Follower, follow
from swarm_tui.cli.name_checks import check_agents
from swarm_tui.cli.number_types import Whole
from swarm_tui.cli.task_output import show_output
from swarm_tui.journal.pane_log import last_lines, readable


@click.command(epilog="Example: swarm-tui logs -f testing-01; swarm-tui logs --task t-17")
@click.argument("agent", required=False, shell_complete=agents)
@click.option(
    "--task", "task_id", metavar="ID", shell_complete=task_ids, help="What a task's programs printed, wherever it ran."
)
@click.option("--attempt", type=Whole(min=0), help="Of its attempt N; the last one by default.")
@click.option("-f", "--follow", "keep", is_flag=True, help="Go on as it is written.")
@click.option("-n", "count", type=Whole(min=0), default=200, show_default=True, help="The last N lines.")
@click.option("--raw", is_flag=True, help="As the pane got it, colours and all (only of an agent on this machine).")
@swarm_option
@broker_option
def command(
    agent: str | None,
    task_id: str | None,
    attempt: int | None,
    keep: bool,
    count: int,
    raw: bool,
    swarm: str | None,
    broker: str | None,
) -> int:
    """Print what AGENT printed, over all its restarts; a line marks where each begins. With --task, a task's output."""
    if (agent is None) == (task_id is None):
        raise click.UsageError("name an AGENT, or a task: --task ID")
    if task_id is not None:
        show_output(target(swarm, broker), task_id, attempt, count, keep=keep, raw=raw, here=not broker)
        return 0
    assert agent is not None
    check_agents((agent,))
    found = target(swarm, broker)
    path = found.state.log(agent)
    if path.is_file() and not broker:
        _local(path, count, keep, raw)
    else:
        _remote(found, agent, count, keep)
    return 0


def _local(path: Path, count: int, keep: bool, raw: bool) -> None:
    show = (lambda line: line.decode("utf-8", "replace")) if raw else readable
    # What comes while the last lines are printed, to a person who reads or a pipe that is full, comes after them.
    end = path.stat().st_size
    for line in last_lines(path, count, end):
        click.echo(show(line), color=raw or None)
    if keep:
        for line in _grow(path, end):
            click.echo(show(line), color=raw or None)


def _grow(path: Path, begin: int) -> Iterator[bytes]:
    """The lines that come after the file's first `begin` bytes, over rotations of the file."""
    file = open(path, "rb")  # noqa: SIM115  (it is changed for its successor when it is rotated)
    file.seek(begin)
    rest = b""
    try:
        while True:
            data = file.read(65536)
            if data:
                *lines, rest = (rest + data).split(b"\n")
                yield from lines
                continue
            try:
                now = os.stat(path)
                before = os.fstat(file.fileno())
                # Whoever writes goes on with the former file until the first byte is in its successor.
                rotated = now.st_ino != before.st_ino and now.st_size > 0
                if rotated or (now.st_ino == before.st_ino and now.st_size < file.tell()):
                    successor = open(path, "rb")  # noqa: SIM115
                    *lines, rest = (rest + file.read()).split(b"\n")
                    file.close()
                    file = successor
                    yield from lines
                    continue
            except FileNotFoundError:
                pass
            if reader_is_gone():
                raise BrokenPipeError
            time.sleep(0.1)
    finally:
        file.close()


def _remote(found: Target, agent: str, count: int, keep: bool) -> None:
    with follow(found) as follower:
        follower.settle()
        with follower.lock:
            known = agent in follower.fleet.agents
        lines = _ask(follower, agent, count) if known else None
        if lines is None:
            raise Failure(_unknown(follower, found, agent), NO_SUCH)
        for line in lines:
            click.echo(readable(line.encode()))
        while keep:
            time.sleep(1.0)
            if reader_is_gone():
                raise BrokenPipeError
            now = _ask(follower, agent, max(count, 200))
            if now is not None:
                for line in _new(lines, now):
                    click.echo(readable(line.encode()))
                lines = now


def _ask(follower: Follower, agent: str, count: int) -> list[str] | None:
    with follower.lock:
        hosts = len(follower.fleet.hosts)
    if not hosts:
        return None
    replies = follower.operator.query_all("logs", {"agent_id": agent, "lines": count}, 2.0, enough=hosts)
    for reply in replies:
        if reply.error is None and reply.rows:
            return [row if isinstance(row, str) else str(row) for row in reply.rows]
    return None


def _new(before: list[str], now: list[str]) -> list[str]:
    """The lines of `now` that come after those already shown."""
    for overlap in range(min(len(before), len(now)), 0, -1):
        if before[-overlap:] == now[:overlap]:
            return now[overlap:]
    return now


def _unknown(follower: Follower, found: Target, agent: str) -> str:
    from swarm_tui.config.document import near

    with follower.lock:
        known = sorted(follower.fleet.agents)
    if agent in known:
        return f"{agent} has no log here, and no supervisor answers for it; is it on a host that is down?"
    hint = near(agent, known) or "; `swarm-tui status` lists those known"
    return f"no agent `{agent}` in {found.swarm}{hint}"
