"""The warm process: it has imported all that an agent needs, and forks one for each pane that asks.

A pane's own process (`agent/pane_leader.py`) hands it the terminal over a socket, says where and in what environment
the agent is to run, and stays as the pane's leader. It has no thread and no connection, so that a fork of it is as good
as a process of its own: what it forks leads a session, reads and writes the pane, and dies when the leader does.

    python -P -m swarm_tui.agent.warm_process SOCKET LIFELINE FOLDER PADDING

`SOCKET` and `LIFELINE` are descriptors: the one listens, the other's end tells that the supervisor is gone. `FOLDER` is
there to be read, `PADDING` to have room for the command line of what is forked.
"""

import ctypes
import encodings.idna  # noqa: F401  (the first name of a host that is looked up)
import fcntl
import gc
import io
import os
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from swarm_tui.agent import agent_process, executor, main, settings  # noqa: F401  (what a start imports)
from swarm_tui.agent.own_process import Installation, led_by

#: Seconds within which a pane has said what it wants: until then nobody else is served.
ASK_WAIT = 2.0
#: Seconds within which it takes what was forked for it.
TAKE_WAIT = 10.0
#: Bytes of arguments and environment, at most.
MOST = 4 * 1024 * 1024
_F_SETSIG = 10
#: Of /proc/<pid>/stat after the command's name: where the command line begins and ends in memory.
_ARG_START, _ARG_END = 45, 46


class Request(Struct, frozen=True):
    """Says what a pane wants: the command line, folder, umask and environment of its agent."""

    words: list[str]
    folder: str
    umask: int
    environ: dict[str, str]


def serve(listener: socket.socket, lifeline: int) -> None:
    """Fork for whoever asks, until the supervisor is gone or another installation is on the disk.

    Returns in the warm process only.
    """
    installation = Installation()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody here waits for them.
    while True:
        ready, _, _ = select.select([listener.fileno(), lifeline], [], [])
        if lifeline in ready:
            return
        with suppress(OSError):
            pane, _ = listener.accept()
            with pane:
                if installation.changed():
                    # The pane starts that one by itself, and the supervisor makes the next warm process of it.
                    return
                _answer(pane, listener, lifeline)


def _answer(pane: socket.socket, listener: socket.socket, lifeline: int) -> None:
    pane.settimeout(ASK_WAIT)
    if not _is_ours(pane):
        return
    request, terminal = _read(pane)
    try:
        if request is None or len(terminal) != 3 or os.fork() != 0:
            return
        listener.close()
        os.close(lifeline)
        _become(request, pane, terminal)
    finally:
        for descriptor in terminal:
            os.close(descriptor)


def _is_ours(pane: socket.socket) -> bool:
    """Return whether whoever asks is of our user; the socket's folder lets no other in anyway."""
    user = _peer(pane)[1]
    return user == os.geteuid()


def _peer(pane: socket.socket) -> tuple[int, int, int]:
    """Return the pid, user and group of whoever is at the other end."""
    return struct.unpack("3i", pane.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))


def _read(pane: socket.socket) -> tuple[Request | None, list[int]]:
    """Return what the pane asks for, None where it makes no sense, and its terminal's descriptors."""
    raw, terminal, _, _ = socket.recv_fds(pane, 65536, 3)
    try:
        size = int(raw[:8])
        while len(raw) < 8 + size <= MOST and (more := pane.recv(65536)):
            raw += more
        if len(raw) != 8 + size:
            return None, terminal
        folder, umask, number, *rest = raw[8:].decode("utf-8", "surrogateescape").split("\0")
        words, pairs = rest[: int(number)], rest[int(number) :]
        # A name that is empty can be inherited, and not be set.
        environ = dict(pair.split("=", 1) for pair in pairs if pair.find("=") > 0)
        return Request(words, folder, int(umask), environ), terminal
    except (ValueError, OSError):
        return None, terminal


def _become(request: Request, pane: socket.socket, terminal: list[int]) -> None:
    """Be the agent, to its end: never returns."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        pane.settimeout(TAKE_WAIT)
        pane.sendall(b"%d\n" % os.getpid())
        if pane.recv(1) != b"g":
            os._exit(0)  # It has begun by itself.
        led_by(_peer(pane)[0])
        _die_with(pane)
        for number, descriptor in enumerate(terminal):
            os.dup2(descriptor, number)
        while terminal:
            os.close(terminal.pop())
        _open_streams()
        os.environ.clear()
        os.environ.update(request.environ)
        os.chdir(request.folder)
        os.umask(request.umask)
        sys.argv = ["swarm-tui", *request.words[request.words.index("agent") :]]
        _show(request.words)
        code = _run(main.main, sys.argv[2:])
    except BaseException:  # noqa: BLE001  (it would else go on as a second warm process)
        traceback.print_exc()
    with suppress(OSError):
        pane.sendall(b"%d\n" % code)
    pane.detach()  # Open until this process has ended: the leader ends after it.
    sys.exit(code)


def _die_with(leader: socket.socket) -> None:
    """Have the kernel kill this process's group when the leader is gone, however it ended, and whatever we do then."""
    leader.settimeout(None)
    fcntl.fcntl(leader, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(leader, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(leader, fcntl.F_SETFL, fcntl.fcntl(leader, fcntl.F_GETFL) | os.O_ASYNC)
    with suppress(BlockingIOError):
        if leader.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"":
            os._exit(0)  # It went before the kernel knew.


def _open_streams() -> None:
    """Give Python's streams the pane's terminal, as an interpreter that starts in it does."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        raw = open(number, "rb" if number == 0 else "wb", buffering=-1, closefd=False)  # noqa: SIM115
        errors = "backslashreplace" if name == "stderr" else "surrogateescape"
        lines = os.isatty(number) or name == "stderr"
        stream = io.TextIOWrapper(raw, encoding="utf-8", errors=errors, line_buffering=lines)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _show(words: list[str]) -> None:
    """Make `words` the command line that others see of this process, as far as there is room."""
    with suppress(OSError, ValueError, IndexError):
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
        text = b"\0".join(os.fsencode(word) for word in words)[: max(0, end - start - 1)]
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, text, len(text))


def _run(call: Callable[[list[str]], int], words: list[str]) -> int:
    """Return the exit code of the agent, as its interpreter would give it."""
    try:
        return call(words)
    except KeyboardInterrupt:
        return 130
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1


def begin(words: list[str]) -> None:
    """Serve on the descriptors that the command line names."""
    listener, lifeline = socket.socket(fileno=int(words[0])), int(words[1])
    listener.set_inheritable(False)
    os.set_inheritable(lifeline, False)
    heed_all()
    gc.collect()
    gc.freeze()  # What all share is not written to by the collector.
    serve(listener, lifeline)


def heed_all() -> None:
    """Have each signal do what it does in a process that tmux starts.

    The shell around the supervisor ignores some, and whoever it starts inherits that, and hands it on.
    """
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    begin(sys.argv[1:])
