"""Read what tmux says of its panes: one listing, without guessing."""

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import libtmux

#: Of a session: the name it was made with, whatever people call it since.
HOME = "@home"
SWARM, AGENT, ROLE, INCARNATION, PORT = "@swarm", "@agent", "@role", "@incarnation", "@port"

_SAFE = (
    "pane_id",
    "pane_pid",
    "pane_dead",
    "pane_dead_status",
    "pane_dead_signal",
    "pane_active",
    "window_active",
    "window_id",
    "session_id",
    "session_attached",
    "pid",
    "pane_pipe",
    PORT,
    INCARNATION,
    AGENT,
)
_SESSION = f"#{{?{HOME},#{{X{HOME}}},#{{Xsession_name}}}}"
#: The formats of free text; `X` is nothing, or makes it the text's length.
_FREE = (_SESSION, "#{Xwindow_name}", f"#{{X{ROLE}}}")
#: Free text goes last with its length before it, so that no separator in it can mislead.
FORMAT = (
    "|".join([*(f"#{{{name}}}" for name in _SAFE), *(free.replace("X", "n:") for free in _FREE)])
    + "|"
    + "".join(free.replace("X", "") for free in _FREE)
    + f"#{{{SWARM}}}"
)


class Pane(Struct, frozen=True, kw_only=True):
    """Describes one pane. `server_pid` is the tmux server's; `logged`: what it prints is copied to a file.

    `session` is the name that its session was made with, which `session_id` finds whatever it is called since.

    Of a dead pane `status` or `signal` is set, or neither is known.
    """

    pane_id: str
    pid: int
    dead: bool
    status: int | None
    signal: int | None
    active: bool
    window_active: bool
    window_id: str
    session_id: str
    attached: int
    server_pid: int
    logged: bool = False
    port: int | None
    incarnation: str
    agent: str
    session: str
    window: str
    role: str
    swarm: str


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def parse_pane(line: str) -> Pane | None:
    """Read one line of FORMAT; None when it is short or makes no sense."""
    fields = line.split("|", len(_SAFE) + len(_FREE))
    if len(fields) != len(_SAFE) + len(_FREE) + 1:
        return None
    safe = dict(zip(_SAFE, fields, strict=False))
    lengths = [_number(text) for text in fields[len(_SAFE) : -1]]
    pid, server_pid = _number(safe["pane_pid"]), _number(safe["pid"])
    if pid is None or server_pid is None or not safe["pane_id"].startswith("%") or None in lengths:
        return None
    rest = fields[-1].encode("utf-8", "surrogateescape")
    free = []
    for length in lengths:
        free.append(rest[: length or 0].decode("utf-8", "replace"))
        rest = rest[length or 0 :]
    return Pane(
        pane_id=safe["pane_id"],
        pid=pid,
        dead=safe["pane_dead"] == "1",
        status=_number(safe["pane_dead_status"]),
        signal=_number(safe["pane_dead_signal"]),
        active=safe["pane_active"] == "1",
        window_active=safe["window_active"] == "1",
        window_id=safe["window_id"],
        session_id=safe["session_id"],
        attached=_number(safe["session_attached"]) or 0,
        server_pid=server_pid,
        logged=safe["pane_pipe"] == "1",
        port=_number(safe[PORT]),
        incarnation=safe[INCARNATION],
        agent=safe[AGENT],
        session=free[0],
        window=free[1],
        role=free[2],
        swarm=rest.decode("utf-8", "replace"),
    )


def panes_by_libtmux(socket: str) -> dict[str, dict[str, int]]:
    """Return session → window → number of its panes that carry an agent's tag, as libtmux sees them.

    Empty when the server has none or is not there. libtmux's calls have no time limit: first ask by one of ours.
    """
    import libtmux  # Only `doctor` pays for it.

    return {
        "".join(session.cmd("show-options", "-q", "-v", HOME).stdout) or session.session_name or "": {
            window.window_name or "": sum(1 for pane in window.panes if _tag(pane)) for window in session.windows
        }
        for session in libtmux.Server(socket_name=socket).sessions
    }


def _tag(pane: "libtmux.Pane") -> str:
    return "".join(pane.cmd("show-options", "-p", "-q", "-v", "@agent").stdout)
