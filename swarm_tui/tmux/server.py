"""Command one tmux server: each call has a time limit, and says whether it failed or found nothing."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from swarm_tui.config.files import named
from swarm_tui.config.own_process import import_path
from swarm_tui.tmux.errors import NoServerError, TmuxError, TmuxMissingError, TmuxTimeoutError
from swarm_tui.tmux.panes import FORMAT, Pane, parse_pane

OLDEST = (3, 2)
DEFAULT = "default"

#: Of our own server; the user's default server keeps its own.
CONFIG = """\
# Written by swarm-tui for its own tmux server; changes here are lost.
set -g default-terminal "tmux-256color"
set -g history-limit 5000
set -g mouse on
set -g status-left-length 40
set -g status-left " #{?#{@agent},#{@agent},#{@swarm}} "
set -g status-right-length 60
# Within another tmux, whose terminals are called so, the prefix reaches us when it is pressed twice.
set -g @twice "#{?#{m/r:^(screen|tmux),#{client_termname}},#{prefix} ,}"
set -g status-right " #{E:@twice}#{prefix} d goes back · #{E:@twice}#{prefix} [ scrolls "
set -g window-size latest
set -g allow-rename off
set -g set-titles off
set -g escape-time 20
set -g exit-empty on
set -g detach-on-destroy on
set -g focus-events on
"""

#: What tmux itself writes on the pane of a process that ended.
_DEAD = "Pane is dead ("

_NO_SERVER = (
    "no server running",
    "error connecting to",
    "server exited",
    "lost server",
    "no current client",
    "no current target",
    "no sessions",
)
#: What a server of ours keeps of the environment it is started from: the rest reaches the panes by file.
_KEEP = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TERM|TMPDIR|TMUX_TMPDIR|XDG_\w+|VIRTUAL_ENV"
    r"|PYTHON\w*|LD_LIBRARY_PATH|DYLD_\w+|COVERAGE_\w+"
)


def version() -> tuple[int, int]:
    """Return the installed tmux's version. Raises TmuxMissingError with what to do."""
    if shutil.which("tmux") is None:
        raise TmuxMissingError("tmux is not installed: sudo apt-get install tmux (or your system's way)")
    try:
        said = subprocess.run(["tmux", "-V"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TmuxMissingError(f"tmux does not start: {error}") from None
    found = re.search(r"(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else OLDEST


def check_version() -> tuple[int, int]:
    """Return the version, when it is new enough. Raises TmuxMissingError with what to do."""
    found = version()
    if found < OLDEST:
        wanted, have = ".".join(map(str, OLDEST)), ".".join(map(str, found))
        raise TmuxMissingError(f"tmux {have} is too old: swarm-tui needs {wanted} or later")
    return found


def literal(argument: str) -> str:
    """Return an argument as tmux takes it unchanged: a trailing `;` would end the command."""
    return argument[:-1] + "\\;" if argument.endswith(";") else argument


def session_target(panes: Iterable[Pane], session: str) -> str:
    """Return the id of the session that was made with that name; its name where no pane is in it."""
    there = [pane for pane in panes if pane.session == session]
    # Another session may have been given the name since; that one has no pane of ours.
    return next((pane.session_id for pane in [*filter(lambda pane: pane.swarm, there), *there]), f"={session}")


def chain(commands: Iterable[Sequence[str]]) -> list[str]:
    """Return several commands as one list, which tmux runs without anything between."""
    argv: list[str] = []
    for command in commands:
        if argv:
            argv.append(";")
        argv += [literal(argument) for argument in command]
    return argv


class Tmux:
    """Commands to the server called `socket` (`default`: the user's own), in `$TMUX_TMPDIR` as tmux has it.

    `config` is the file our own server starts with; `environ` is where its environment is taken from.
    """

    def __init__(
        self,
        socket: str,
        *,
        config: Path | None = None,
        timeout: float = 10.0,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.socket = socket
        self.timeout = timeout
        self._environ = {
            name: value
            for name, value in (os.environ if environ is None else environ).items()
            if socket == DEFAULT or _KEEP.fullmatch(name)
        }
        if socket != DEFAULT:
            # Panes get the caller's own by file; this one is for our processes until they have read that.
            self._environ = {k: v for k, v in self._environ.items() if k != "PYTHONPATH"} | import_path(self._environ)
        self._environ.pop("TMUX", None)
        self._environ.pop("TMUX_PANE", None)
        self._base = ["tmux", "-u"]
        if socket != DEFAULT:
            self._base += ["-L", socket, "-f", str(config) if config and config.exists() else os.devnull]

    @property
    def argv(self) -> list[str]:
        """Return what a person types before a tmux command to reach this server."""
        return ["tmux"] if self.socket == DEFAULT else ["tmux", "-L", self.socket]

    @property
    def base(self) -> list[str]:
        """Return the beginning of every command line, flags included."""
        return list(self._base)

    @property
    def environ(self) -> dict[str, str]:
        """Return the environment its commands run in."""
        return dict(self._environ)

    def run(self, *argv: str, timeout: float | None = None) -> list[str]:
        """Return the lines one command printed. Raises TmuxError, NoServerError or TmuxTimeoutError."""
        limit = self.timeout if timeout is None else timeout
        try:
            done = subprocess.run(
                [*self._base, *argv],
                capture_output=True,
                timeout=limit,
                check=False,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                cwd="/",
            )
        except subprocess.TimeoutExpired:
            raise TmuxTimeoutError(f"tmux did not answer `{argv[0]}` within {limit:g} s") from None
        except FileNotFoundError:
            raise TmuxMissingError("tmux is not installed: sudo apt-get install tmux (or your system's way)") from None
        except OSError as error:
            raise TmuxError(f"tmux does not start: {error}") from None
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip() or f"exit {done.returncode}"
            raise (NoServerError if said.startswith(_NO_SERVER) else TmuxError)(f"tmux {argv[0]}: {said}")
        return done.stdout.decode("utf-8", "surrogateescape").splitlines()

    def run_list(self, commands: Iterable[Sequence[str]], timeout: float | None = None) -> list[str]:
        """Run several commands as one list: all of it reaches the server, or nothing does."""
        return self.run(*chain(commands), timeout=timeout)

    def run_each(self, many: Sequence[Sequence[str]]) -> list[str]:
        """Run commands that need not be one list; return the lines that all of them printed."""
        return self.run_list(many)

    def panes(self) -> list[Pane]:
        """Return every pane of the server; empty only when no server runs. Raises TmuxError when that is not known."""
        try:
            lines = self.run("list-panes", "-a", "-F", FORMAT)
        except NoServerError:
            return []
        found = [parse_pane(line) for line in lines]
        if None in found:
            raise TmuxError("tmux listed a pane that makes no sense")
        return [pane for pane in found if pane is not None]

    def has_session(self, name: str) -> bool:
        """Return whether a session made with exactly that name is there. Raises TmuxError when that is not known."""
        return any(pane.session == name for pane in self.panes())

    def target(self, session: str) -> str:
        """Return how the session that was made with that name is addressed now: by its id, which no rename changes."""
        try:
            return session_target(self.panes(), session)
        except TmuxError:
            return f"={session}"

    def capture(self, pane_id: str, lines: int = 20) -> list[str]:
        """Return the last `lines` lines that are not empty of what the pane shows; empty when it is gone.

        What scrolled away is left out: a pane that was respawned has there what its former processes printed. One line
        is not, because tmux makes room by it for its word that the process ended, which is left out too.
        """
        try:
            shown = self.run("capture-pane", "-p", "-J", "-t", pane_id, "-S", "-1")
        except TmuxError:
            return []
        return [line.rstrip() for line in shown if line.strip() and not line.startswith(_DEAD)][-lines:]


def socket_folder() -> Path:
    """Return the folder of this user's tmux sockets: tmux takes /tmp where TMUX_TMPDIR is not there."""
    said = os.environ.get("TMUX_TMPDIR")
    return Path(said if said and os.path.exists(said) else "/tmp") / f"tmux-{os.getuid()}"


def write_config(path: Path) -> Path:
    """Write the config of our own server. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != CONFIG:
        with named(path):
            path.write_text(CONFIG)
    return path
