"""Build tmux commands that make, tag and log panes: each function returns a list that one call runs whole."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from swarm_tui.tmux.panes import AGENT, HOME, INCARNATION, PORT, ROLE, SWARM

#: Set on a server whose `exit-unattached` is off for us; the user has it on.
STAYS = "@swarm-exit-unattached"
WIDTH, HEIGHT = 200, 60
IDENTITY = "#{pane_id} #{pane_pid}"
Commands = list[list[str]]


def program(argv: Sequence[str]) -> list[str]:
    """Return `argv` as a pane's own first process: a single word would go through a shell."""
    return list(argv) if len(argv) > 1 else ["env", *argv]


def _plainly(text: str) -> str:
    """Return text for a place where tmux would expand formats, such that it comes out unchanged.

    `#(…)` is one of them, which tmux gives to a shell.
    """
    return text.replace("#", "##")


def tags(target: str | None, values: Mapping[str, str]) -> Commands:
    """Set pane options; without a target, of the pane that the same list has just made."""
    where = ["-t", target] if target else []
    return [["set-option", "-p", *where, name, value] for name, value in values.items()]


def agent_tags(swarm: str, agent_id: str, role: str, incarnation: int) -> dict[str, str]:
    """Return the tags of an agent's pane."""
    return {SWARM: swarm, AGENT: agent_id, ROLE: role, INCARNATION: str(incarnation)}


def control_tags(swarm: str, role: str, port: int | None = None) -> dict[str, str]:
    """Return the tags of a pane of the control window; `role` is `supervisor` or `broker`."""
    return {SWARM: swarm, ROLE: role} | ({PORT: str(port)} if port else {})


def log_to(path: Path, target: str | None = None) -> Commands:
    """Copy all that the pane prints to the end of a file; the copier ends with the pane."""
    where = ["-t", target] if target else []
    # pipe-pane expands formats and strftime in its command.
    command = _plainly(f"exec cat >> {shlex.quote(str(path))}").replace("%", "%%")
    return [["pipe-pane", *where, command]]


def keep_dead(target: str | None = None) -> Commands:
    """Keep the pane when its process ends, so that its last words can be read and it can be respawned."""
    return [["set-option", "-p", *(["-t", target] if target else []), "remain-on-exit", "on"]]


def new_session(session: str, window: str, argv: Sequence[str], cwd: str) -> Commands:
    """Make a detached session whose first window runs `argv`; prints the pane's id and pid."""
    size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
    where = ["-s", session, "-n", window, "-c", _plainly(cwd)]
    own = f"={session}:"
    return [
        ["new-session", "-d", *size, *where, "-P", "-F", IDENTITY, "--", *program(argv)],
        ["set-option", "-t", own, HOME, session],
        # With these in the user's own config it would vanish as soon as nobody looks at it.
        ["set-option", "-t", own, "destroy-unattached", "off"],
        ["if-shell", "-F", "#{exit-unattached}", f"set-option -s exit-unattached off ; set-option -s {STAYS} on"],
    ]


def new_window(target: str, window: str, argv: Sequence[str], cwd: str) -> Commands:
    """Make a window in a session that runs `argv`, made the current one of the list; prints the pane's id and pid."""
    where = ["-t", f"{target}:", "-n", window, "-c", _plainly(cwd)]
    return [["new-window", *where, "-P", "-F", IDENTITY, "--", *program(argv)]]


def split(target: str | None, argv: Sequence[str], cwd: str, *, tiled: bool = True, stay: bool = False) -> Commands:
    """Make one more pane beside `target` (without one, beside what the same list has just made), tiled again so that
    the next split finds room (`stay`: left as it is); prints the pane's id and pid."""
    where = ["-t", target] if target else []
    again = [] if stay else [["select-layout", "tiled" if tiled else "even-vertical"]]
    return [
        ["split-window", *where, "-c", _plainly(cwd), "-P", "-F", IDENTITY, "--", *program(argv)],
        *again,
    ]


def respawn(pane_id: str, argv: Sequence[str], cwd: str) -> Commands:
    """Give the same pane a new process; what tmux still thinks alive in it is killed."""
    return [["respawn-pane", "-k", "-t", pane_id, "-c", _plainly(cwd), "--", *program(argv)]]
