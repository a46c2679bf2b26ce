"""How a person's terminal becomes a pane: zoomed, and theirs again when they detach."""

import os
import subprocess
from collections.abc import Mapping

from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.server import DEFAULT, Tmux


def is_inside(tmux: Tmux, environ: Mapping[str, str] | None = None) -> bool:
    """Whether this process runs in a pane of that very server: attaching would nest, so the client switches."""
    current = (os.environ if environ is None else environ).get("TMUX", "").partition(",")[0]
    if not current:
        return False
    try:
        own = tmux.run("display-message", "-p", "#{socket_path}")
    except TmuxError:
        return False
    return bool(own) and os.path.realpath(own[0]) == os.path.realpath(current)


def attach_argv(socket: str, session: str, pane_id: str | None = None, *, inside: bool = False) -> list[str]:
    """The command line that shows the session, or one pane of it zoomed; `inside`: from a pane of the same server."""
    argv = ["tmux", "-u"] if socket == DEFAULT else ["tmux", "-u", "-L", socket]
    if pane_id is not None:
        argv += ["select-window", "-t", pane_id, ";", "select-pane", "-t", pane_id, ";"]
        argv += ["if-shell", "-F", "-t", pane_id, "#{window_zoomed_flag}", "", f"resize-pane -Z -t {pane_id}", ";"]
    return [*argv, *(["switch-client", "-t"] if inside else ["attach-session", "-t"]), f"={session}"]


def attach_environ(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for `attach_argv`: without TMUX, or tmux refuses to nest in another server."""
    kept = dict(os.environ if environ is None else environ)
    kept.pop("TMUX", None)
    kept.pop("TMUX_PANE", None)
    return kept


def attach(tmux: Tmux, session: str, pane_id: str | None = None) -> int:
    """Attach this terminal, and return when the person detaches; tmux's exit code. Inside, return at once."""
    inside = is_inside(tmux)
    argv = attach_argv(tmux.socket, session, pane_id, inside=inside)
    environ = dict(os.environ) if inside else attach_environ()
    code = subprocess.run(argv, env=environ, check=False).returncode
    if not inside and pane_id is not None:
        unzoom(tmux, pane_id)
    return code


def unzoom(tmux: Tmux, pane_id: str) -> None:
    """Show all panes of the window again, unless somebody still looks at it."""
    try:
        tmux.run(
            "if-shell",
            "-F",
            "-t",
            pane_id,
            "#{&&:#{window_zoomed_flag},#{==:#{session_attached},0}}",
            f"resize-pane -Z -t {pane_id}",
        )
    except TmuxError:
        return
