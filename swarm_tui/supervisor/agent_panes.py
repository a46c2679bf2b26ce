"""Make, respawn, close and log the panes of a swarm's agents: all tmux work of the supervisor in one place."""

import os
import signal
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from swarm_tui.config.home import home
from swarm_tui.config.model import RunSpec
from swarm_tui.config.own_process import own_argv
from swarm_tui.config.paths import StateDir
from swarm_tui.journal.pane_log import pack
from swarm_tui.journal.pane_times import PaneTimes, times_of
from swarm_tui.tmux import commands
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.panes import Pane
from swarm_tui.tmux.server import Tmux, session_target

AGENTS = "agents"
CONTROL = "control"
LOG_LIMIT = 8 * 1024 * 1024
#: Logs before the one that is written; from the second on they are compressed.
LOGS_KEPT = 9
#: Seconds for which what a pane printed is kept: as long as the recorder keeps what was said.
LOGS_AGE = 7 * 86400.0
#: tmux refuses a message of more than 16 KiB as a command that is too long, bytes.
LIST_LIMIT = 12_000


class NewPane(Struct, frozen=True):
    """A pane and the pid of its own process."""

    pane_id: str
    pid: int


class PanePlace(Struct, frozen=True, kw_only=True):
    """Names where the panes of one swarm go."""

    swarm: str
    session: str
    tiled: bool
    state: StateDir


def agent_argv(spec: RunSpec, state: StateDir) -> list[str]:
    """Return the command line of an agent's pane; no secret is in it."""
    path = str(state.spec(spec.agent_id))
    if spec.command is not None:
        return own_argv("swarm_tui.agent.launch", "--spec", path)
    names = ["--role", spec.role, "--agent-id", spec.agent_id, "--swarm", spec.swarm]
    return own_argv("swarm_tui", "agent", *names, "--spec", path)


class AgentPanes:
    """Makes and ends the panes of one swarm. Every method raises TmuxError when tmux does not do it."""

    def __init__(
        self, tmux: Tmux, place: PanePlace, by_way_of: Callable[[RunSpec, list[str]], list[str]] = lambda spec, own: own
    ) -> None:
        """`by_way_of(spec, own)` is the command line of a pane whose agent has the command line `own`."""
        self.tmux = tmux
        self.place = place
        self._by_way_of = by_way_of
        self._times = PaneTimes()
        self._home = f"={place.session}"
        """The session as tmux is told of it now."""

    def _argv(self, spec: RunSpec) -> list[str]:
        return self._by_way_of(spec, agent_argv(spec, self.place.state))

    def mine(self, panes: Sequence[Pane]) -> list[Pane]:
        """Return those of `panes` that are this swarm's."""
        return [pane for pane in panes if pane.swarm == self.place.swarm]

    def create(self, new: Sequence[tuple[RunSpec, int]], panes: Sequence[Pane]) -> list[NewPane]:
        """Make a tagged pane for each (spec, incarnation), in as few command lists as tmux takes; in the same order."""
        there = [pane for pane in self.mine(panes) if pane.agent and pane.session == self.place.session]
        target = next((pane for pane in there if pane.window == AGENTS), there[0] if there else None)
        back = self.focus_back(panes, target) if target is not None else []
        beside = target.pane_id if target is not None else None
        self._home = session_target(panes, self.place.session)
        made: list[NewPane] = []
        try:
            while len(made) < len(new):
                todo, number = self._list_for(new[len(made) :], beside)
                for spec, incarnation in new[len(made) : len(made) + number]:
                    self._begin_log(spec.agent_id, incarnation)
                made += _made(self.tmux.run_list([*todo, *back]), number)
                beside = made[-1].pane_id
        except TmuxError as error:
            if "no space" not in str(error):
                raise
            return self._one_by_one(new)
        return made

    def _list_for(self, new: Sequence[tuple[RunSpec, int]], beside: str | None) -> tuple[commands.Commands, int]:
        """Return a list of commands for as many of `new` as fit a message to tmux, at least one, and how many."""
        todo: commands.Commands = []
        for number, (spec, incarnation) in enumerate(new):
            more = self._make(spec, incarnation, beside, first=number == 0)
            if number and _weight(todo) + _weight(more) > LIST_LIMIT:
                return todo, number
            todo += more
        return todo, len(new)

    def _make(self, spec: RunSpec, incarnation: int, beside: str | None, *, first: bool) -> commands.Commands:
        argv = self._argv(spec)
        cwd = _folder(spec.workdir)
        if not self.place.tiled:
            made = commands.new_window(self._home, spec.agent_id, argv, cwd)
        elif first and beside is None:
            made = commands.new_window(self._home, AGENTS, argv, cwd)
        else:
            made = commands.split(beside if first else None, argv, cwd)
        tags = commands.agent_tags(self.place.swarm, spec.agent_id, spec.role, incarnation)
        log = commands.log_to(self.place.state.log(spec.agent_id))
        return [*made, *commands.keep_dead(), *commands.tags(None, tags), *log]

    def _one_by_one(self, new: Sequence[tuple[RunSpec, int]]) -> list[NewPane]:
        """Give the rest windows of their own: the window is full, or small because somebody looks at it."""
        made = {pane.agent: NewPane(pane.pane_id, pane.pid) for pane in self.mine(self.tmux.panes()) if pane.agent}
        for spec, incarnation in new:
            if spec.agent_id in made:
                continue
            argv, cwd = self._argv(spec), _folder(spec.workdir)
            tags = commands.agent_tags(self.place.swarm, spec.agent_id, spec.role, incarnation)
            log = commands.log_to(self._begin_log(spec.agent_id, incarnation))
            todo = commands.new_window(self._home, spec.agent_id, argv, cwd)
            todo += [*commands.keep_dead(), *commands.tags(None, tags), *log]
            made[spec.agent_id] = _made(self.tmux.run_list(todo), 1)[0]
        return [made[spec.agent_id] for spec, _ in new]

    def focus_back(self, panes: Sequence[Pane], target: Pane | None) -> list[list[str]]:
        """Return commands by which whoever looks at the session goes on looking at what they looked at."""
        back: list[list[str]] = []
        if target is None:
            return back
        for pane in panes:
            if pane.session_id == target.session_id and pane.active and pane.window_id == target.window_id:
                back.append(["select-pane", "-t", pane.pane_id])
        for pane in panes:
            if pane.session_id == target.session_id and pane.active and pane.window_active:
                back.append(["select-window", "-t", f"{target.session_id}:{pane.window_id}"])
        return back

    def respawn(self, pane_id: str, spec: RunSpec, incarnation: int) -> NewPane:
        """Start a new process in the same pane."""
        todo = commands.respawn(pane_id, self._argv(spec), _folder(spec.workdir))
        todo += commands.tags(pane_id, commands.agent_tags(self.place.swarm, spec.agent_id, spec.role, incarnation))
        todo.append(["display-message", "-p", "-t", pane_id, commands.IDENTITY])
        self._begin_log(spec.agent_id, incarnation)
        return _made(self.tmux.run_each(todo), 1)[0]

    def close(self, pane_ids: Sequence[str]) -> None:
        """Close panes; those that are gone do not matter."""
        for pane_id in pane_ids:
            with suppress(TmuxError):
                self.tmux.run("kill-pane", "-t", pane_id)

    def reap(self, server_pid: int) -> None:
        """Tell tmux to look for ended children again: it can miss one."""
        with suppress(ProcessLookupError, PermissionError):
            os.kill(server_pid, signal.SIGCHLD)

    def arrange(self, panes: Sequence[Pane]) -> None:
        """Tile the agents' window again after panes have gone."""
        window = next((pane.window_id for pane in self.mine(panes) if pane.agent and pane.window == AGENTS), None)
        if window and self.place.tiled:
            with suppress(TmuxError):
                self.tmux.run("select-layout", "-t", window, "tiled")

    def rotate(self, agent_id: str, pane_id: str, *, logged: bool = True) -> None:
        """Begin a new log file when the old one is large or gone; go on with it when nothing is `logged` any more.

        Raises OSError when it cannot be written.
        """
        path = self.place.state.log(agent_id)
        size = _size(path)
        if size is not None:
            self._times.note(path, size, time.time())
        if logged and size is not None and size <= LOG_LIMIT:
            return
        if size is not None and size > LOG_LIMIT:
            _shift(path, self._times)
        else:
            _touch(path)
        self.tmux.run_list(commands.log_to(path, pane_id))

    def sweep(self, now: float, there: Collection[str]) -> None:
        """Remove logs to which nothing was added for LOGS_AGE, but for the newest of the agents that are `there`.

        `now` is in seconds since the epoch. Raises OSError.
        """
        newest = {self.place.state.log(agent_id) for agent_id in there}
        kept = newest | {times_of(path) for path in newest}
        for path in self.place.state.logs.glob("*.log*"):
            with suppress(FileNotFoundError):
                if path not in kept and now - path.stat().st_mtime > LOGS_AGE:
                    path.unlink()

    def _begin_log(self, agent_id: str, incarnation: int) -> Path:
        path = self.place.state.log(agent_id)
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            mark = f"──── {agent_id} · incarnation {incarnation} · {time.strftime('%Y-%m-%d %H:%M:%S %z')} ────\r\n"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(descriptor, mark.encode())
            finally:
                os.close(descriptor)
        return path


def _weight(todo: commands.Commands) -> int:
    """Bytes that a command list takes on its way to tmux, at most."""
    return sum(len(os.fsencode(argument)) + 3 for command in todo for argument in command)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _shift(path: Path, times: PaneTimes) -> None:
    """file → file.1 → file.2.gz …, each with its times; the oldest goes."""
    for number in range(LOGS_KEPT - 1, 0, -1):
        for end in ("", ".gz"):
            with suppress(FileNotFoundError):
                os.replace(f"{path}.{number}{end}", f"{path}.{number + 1}{end}")
        times.shift(path, number)
    os.replace(path, f"{path}.1")
    times.shift(path, 0)
    second = path.with_name(f"{path.name}.2")
    with suppress(OSError):  # On a full disk it stays as it is, and the next time is tried again as the third.
        if second.exists():
            pack(second)  # A tenth of a second, once in 8 MB that a pane printed.
    _touch(path)


def _touch(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))


def _folder(workdir: str) -> str:
    """tmux starts a pane in `/` when its folder is missing; say home instead."""
    return workdir if Path(workdir).is_dir() else str(home())


def _made(said: list[str], wanted: int) -> list[NewPane]:
    """Return the (pane, pid) pairs that a command list printed."""
    pairs = [line.split() for line in said if line.startswith("%")]
    made = [NewPane(pair[0], int(pair[1])) for pair in pairs if len(pair) == 2 and pair[1].isdigit()]
    if len(made) != wanted:
        raise TmuxError(f"tmux made {len(made)} panes of {wanted}")
    return made
