"""Turn a person's terminal into a pane: zoomed, and theirs again when they detach."""

import os
import shlex
import subprocess
from collections.abc import Mapping

from swarm_tui.config.urls import is_address
from swarm_tui.tmux.commands import HEIGHT, WIDTH
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.server import DEFAULT, Tmux

#: With these ssh says that it did not get there, and the shell there that it found no such command.
_NOT_REACHED, _NOT_FOUND = 255, 127


def is_inside(tmux: Tmux, environ: Mapping[str, str] | None = None) -> bool:
    """Return whether this process runs in a pane of that very server: attaching would nest, so the client switches."""
    current = (os.environ if environ is None else environ).get("TMUX", "").partition(",")[0]
    if not current:
        return False
    try:
        own = tmux.run("display-message", "-p", "#{socket_path}")
    except TmuxError:
        return False
    return bool(own) and os.path.realpath(own[0]) == os.path.realpath(current)


def attach_argv(
    socket: str, session: str, pane_id: str | None = None, *, inside: bool = False, back: str = "L"
) -> list[str]:
    """Return the command line that shows the session, or one pane of it zoomed; `inside`: from a pane of that server.

    `back` is the key after the prefix that then goes back: L to another session, l to another window of this one.
    """
    argv = ["tmux", "-u"] if socket == DEFAULT else ["tmux", "-u", "-L", socket]
    if pane_id is not None:
        argv += ["select-window", "-t", pane_id, ";", "select-pane", "-t", pane_id, ";"]
        argv += ["if-shell", "-F", "-t", pane_id, "#{window_zoomed_flag}", "", f"resize-pane -Z -t {pane_id}", ";"]
    if not inside:
        return [*argv, "attach-session", "-t", _exactly(session)]
    says = ["display-message", "-d", "4000", f"prefix {back} goes back to where you came from"]
    return [*argv, "switch-client", "-t", _exactly(session), ";", *says]


def _exactly(session: str) -> str:
    """Return a session, by id or by name, as a target that means no other."""
    return session if session.startswith(("$", "=")) else f"={session}"


def _key_back(tmux: Tmux, session: str) -> str:
    try:
        here = tmux.run("display-message", "-p", "-t", os.environ.get("TMUX_PANE", ""), "#{session_id}")
    except TmuxError:
        return "L"
    return "l" if here == [session] else "L"


def attach_environ(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for `attach_argv`: without TMUX, or tmux refuses to nest in another server."""
    kept = dict(os.environ if environ is None else environ)
    kept.pop("TMUX", None)
    kept.pop("TMUX_PANE", None)
    return kept


def attach(tmux: Tmux, session: str, pane_id: str | None = None) -> int:
    """Attach this terminal, and return when the person detaches; tmux's exit code. Inside, return at once."""
    inside = is_inside(tmux)
    back = _key_back(tmux, tmux.target(session)) if inside else ""
    target = tmux.target(session)
    argv = attach_argv(tmux.socket, target, pane_id, inside=inside, back=back)
    environ = dict(os.environ) if inside else attach_environ()
    code = subprocess.run(argv, env=environ, check=False).returncode
    if not inside:
        restore(tmux, target)
    return code


def far_argv(address: str, swarm: str, agent_id: str) -> list[str]:
    """Return the command line that attaches on another host. Raises ValueError for an address that is none."""
    if not is_address(address):
        raise ValueError(f"{address[:60]!r} is no address for ssh")
    return ["ssh", "-t", "--", address, shlex.join(["swarm-tui", "attach", "--swarm", swarm, agent_id])]


def attach_far(address: str, swarm: str, agent_id: str) -> str | None:
    """Attach on another host, and return when the person detaches; why it failed, as a sentence.

    Raises OSError, ValueError.
    """
    code = subprocess.run(far_argv(address, swarm, agent_id), check=False).returncode
    if code == _NOT_REACHED:
        return f"ssh did not reach {address}: try `ssh {address}`"
    if code == _NOT_FOUND:
        return f"`swarm-tui` is not on the PATH that ssh has on {address}"
    return f"it ended with {code} on {address}" if code else None


def restore(tmux: Tmux, session: str) -> None:
    """Show all panes of each window at the size they are made with again, unless somebody still looks at them.

    Else what agents print stays folded at the width of the last terminal. Control clients do not look.
    """
    try:
        target = _exactly(session)
        if "0" in tmux.run("list-clients", "-t", target, "-F", "#{client_control_mode}"):
            return
        for line in tmux.run("list-windows", "-t", target, "-F", "#{window_id} #{window_zoomed_flag}"):
            window, zoomed = line.split()
            unzoom = [["resize-pane", "-Z", "-t", window]] if zoomed == "1" else []
            size = ["resize-window", "-t", window, "-x", str(WIDTH), "-y", str(HEIGHT)]
            # resize-window also fixes the size, and the next who attaches brings their own.
            tmux.run_list([*unzoom, size, ["set-option", "-w", "-u", "-t", window, "window-size"]])
    except TmuxError:
        return
