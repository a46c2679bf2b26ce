"""Two small programs of ours that run beside a CLI: what it calls as its hook, and what gives it its terminal.

Run as a file, by `python -P -I -S`: `hook TOKEN` takes what the CLI says to the agent, by the socket beside that file,
and prints the agent's answer; where the agent is gone it prints nothing, and the CLI does as it would without a hook.
`terminal PROGRAM ARGUMENT…` becomes the program, with the terminal on its stdin as its own: without one of its own it
would hear neither of its size nor of its keys.
"""

import posix
import sys

#: Names in the folder of one agent's screen.
SOCKET, TOKEN = "hooks.sock", "hooks.token"
#: Bytes of what a hook says at most; more is cut, and then is no JSON.
MOST = 16 * 1024 * 1024
_CHUNK = 65536


def call(token_file: str, said: bytes) -> bytes:
    """Return the agent's answer; empty where there is none."""
    import _socket

    try:
        folder = token_file.rpartition("/")[0]
        with open(token_file, "rb") as file:
            token = file.read().strip()
        channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        posix.chdir(folder)  # A socket's path has 107 bytes at most, a folder's any number.
        channel.connect(SOCKET)
        raw = token + b"\n" + said
        channel.sendall(b"%08x" % len(raw) + raw)
        answer = b""
        while more := channel.recv(_CHUNK):
            answer += more
        channel.close()
        return answer
    except OSError:
        return b""


def become(argv: list[str]) -> None:
    """Become that program, which leads a session of its own, in the terminal on its stdin."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    posix.execv(argv[0], argv)


if __name__ == "__main__":
    if sys.argv[1] == "hook":
        posix.write(1, call(sys.argv[2], sys.stdin.buffer.read(MOST)))
    else:
        become(sys.argv[2:])
