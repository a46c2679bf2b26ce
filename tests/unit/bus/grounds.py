"""What a broker is tried against: certificates, and listeners that are no brokers."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest


def certificates(folder: Path) -> Path:
    """A CA in `folder` (ca.crt), and what it signed: server.*, client.*, expired.*; elsewhere.* names another host."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: run `apt-get install openssl`")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run("req", "-x509", *key, "-days", "2", "-subj", "/CN=test-ca", "-keyout", "ca.key", "-out", "ca.crt")
    (folder / "here.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    (folder / "elsewhere.ext").write_text("subjectAltName=DNS:broker.example\n")
    for name, days in (("server", "2"), ("client", "2"), ("expired", "-1"), ("elsewhere", "2")):
        run("req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        names = "elsewhere.ext" if name == "elsewhere" else "here.ext"
        signing = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", days, "-extfile", names]
        run("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.crt")
    return folder


class Listener:
    """A TCP port that answers each connection with `answer`, and is no broker."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self._open.append(connection)
                with suppress(OSError):
                    self._answer(connection)

    def close(self) -> None:
        # A blocked accept keeps the socket alive until it is shut down.
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            connection.close()


def http(connection: socket.socket) -> None:
    """As a web server answers what it does not understand."""
    connection.recv(1000)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    connection.close()


def hang_up(connection: socket.socket) -> None:
    """Closes at once."""
    connection.close()


def silence(connection: socket.socket) -> None:
    """Takes the connection and says nothing."""
