"""A pane's own process while its agent is a fork of the warm one: it hands the terminal over, then waits for the end.

Run as a file, by `python -I -S`, and it imports nothing that costs: `FOLDER -- COMMAND…`. Where the warm process is
gone, refuses or is silent, it becomes COMMAND, so that the agent starts as it would without one. Else it becomes a
shell of 100 KiB, which passes signals on, ends as the agent did, and takes the agent with it when it is killed.
"""

import _socket
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

#: The socket's name in the state folder.
SOCKET = "warm.sock"
#: Seconds that the warm process has to fork.
WAIT = 5.0
#: The connection, in the shell that stays.
CHANNEL = 7
#: $1 is the agent's pid. It says its exit code before it ends; without one a signal ended it. A `read` that a signal
#: interrupts fails as at the end, so `t` tells the two apart. What the agent left in its group goes as well.
SHELL = (
    f'b=$1; for s in TERM INT HUP QUIT USR1 CONT; do trap "t=1; kill -$s $b 2>/dev/null" $s; done; '
    f'while :; do t=; if IFS= read -r line <&{CHANNEL}; then code=$line; elif [ ! "$t" ]; then break; fi; done; '
    'kill -KILL -"$b" 2>/dev/null; [ "$code" ] && exit "$code"; kill -KILL $$'
)


def ask(folder: str, command: list[str]) -> "tuple[_socket.socket, str] | None":
    """Return the connection and the pid of the agent that was forked; None when there is none."""
    try:
        here = posix.getcwd()
        channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        channel.settimeout(WAIT)
        posix.chdir(folder)  # A socket's path has 107 bytes at most, a folder's any number.
        try:
            channel.connect(SOCKET)
        finally:
            posix.chdir(here)
        posix.umask(mask := posix.umask(0o077))
        pairs = [name + b"=" + value for name, value in posix.environ.items()]
        texts = [here, str(mask), str(len(command)), *command]
        raw = b"\0".join([*(text.encode("utf-8", "surrogateescape") for text in texts), *pairs])
        raw = b"%08d" % len(raw) + raw
        terminal = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
        sent = channel.sendmsg([raw], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, terminal)])
        channel.sendall(raw[sent:])
        said = b""
        while not said.endswith(b"\n"):
            more = channel.recv(32)
            if not more:
                return None
            said += more
        channel.sendall(b"g")
        channel.settimeout(None)
        return channel, said.decode().strip()
    except (OSError, ValueError):
        return None


def main() -> "NoReturn":
    """Ask, and become what follows."""
    folder, command = sys.argv[1], sys.argv[3:]
    found = ask(folder, command)
    if found is None:
        posix.execv(command[0], command)
    channel, pid = found
    if channel.fileno() == CHANNEL:
        posix.set_inheritable(CHANNEL, True)
    else:
        posix.dup2(channel.fileno(), CHANNEL)
    posix.execv("/bin/sh", ["sh", "-c", SHELL, "swarm-tui-agent", pid, *command])


if __name__ == "__main__":
    main()
