"""The program that a CLI calls as its hook: it takes what the CLI says to the agent, and prints the agent's answer.

Run as a file, by `python -I -S`, with the path of the agent's token: the socket lies beside it. Where the agent is gone
it prints nothing, and the CLI does as it would without a hook.
"""

import _socket
import posix
import sys

#: Names in the folder of one agent's screen.
SOCKET, TOKEN = "hooks.sock", "hooks.token"
#: Bytes of what a hook says at most; more is cut, and then is no JSON.
MOST = 16 * 1024 * 1024
_CHUNK = 65536


def call(token_file: str, said: bytes) -> bytes:
    """Return the agent's answer; empty where there is none."""
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
        return answer
    except OSError:
        return b""


if __name__ == "__main__":
    posix.write(1, call(sys.argv[1], sys.stdin.buffer.read(MOST)))
