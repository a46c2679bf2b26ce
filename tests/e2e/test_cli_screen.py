"""`up` on a terminal: it ends in the screen, whoever came up, and never draws into a file."""

import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import RealBroker, pick_port
from tests.e2e.shell import Shell

LAYOUT = """
swarm: {name}
session: {name}
broker: {{url: "mqtt://127.0.0.1:{port}", embedded: never}}
tmux: {{socket: {name}}}
agents:
  - {{role: general, id: here}}
  - {{role: general, id: absent, restart: never, command: [sh, -c, "echo no key in the vault; exit 3"]}}
"""


class Terminal:
    """A command on a terminal of 120 by 40; `seen` is all that it wrote."""

    def __init__(self, shell: Shell, *words: str, stderr: int | None = None) -> None:
        self.leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "swarm_tui", *words],
            cwd=shell.cwd,
            env={**shell.env, "TERM": "xterm-256color"},
            stdin=follower,
            stdout=follower,
            stderr=stderr if stderr is not None else follower,
            start_new_session=True,
        )
        os.close(follower)
        self.seen = b""

    def read_until(self, wanted: bytes, limit: float = 30.0) -> None:
        end = time.monotonic() + limit
        while wanted not in self.seen:
            assert time.monotonic() < end, self.seen[-3000:].decode("utf-8", "replace")
            if select.select([self.leader], [], [], 0.2)[0]:
                with suppress(OSError):
                    self.seen += os.read(self.leader, 65536)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)
        os.close(self.leader)


@pytest.fixture
def shell(tmp_path: Path, real_broker: RealBroker) -> Iterator[Shell]:
    name = f"swarm-test-{os.urandom(3).hex()}"
    (tmp_path / "l.yml").write_text(LAYOUT.format(name=name, port=real_broker.port))
    shell = Shell(tmp_path)
    yield shell
    shell("down", name, "--now")


def test_detached_it_fails_when_an_agent_did_not_register(shell: Shell) -> None:
    detached = shell("up", "./l.yml", "--detach", "--wait", "15")
    assert detached.returncode == 1
    assert "did not register" in detached.stderr
    assert "absent" in detached.stderr
    assert "no key in the vault" in detached.stderr


def test_the_screen_opens_also_when_an_agent_did_not_register(shell: Shell) -> None:
    terminal = Terminal(shell, "up", "./l.yml", "--wait", "15")
    try:
        terminal.read_until(b"\x1b[?1049h")
        assert b"no key in the vault" in terminal.seen
        terminal.read_until(b"absent", 15)
        assert terminal.process.poll() is None
    finally:
        terminal.close()


def test_it_draws_no_screen_into_a_file(shell: Shell, tmp_path: Path) -> None:
    for words in (["up", "./l.yml"], ["screen", "--broker", f"mqtt://127.0.0.1:{pick_port()}"]):
        with (tmp_path / "errors").open("wb") as file:
            terminal = Terminal(shell, *words, stderr=file.fileno())
            try:
                assert terminal.process.wait(30) in (1, 2)
            finally:
                terminal.close()
        said = (tmp_path / "errors").read_text()
        assert "stderr is not a terminal" in said
        assert "\x1b" not in said


@pytest.mark.skipif(shutil.which("localedef") is None, reason="no localedef makes the locale")
def test_a_locale_without_utf8_spoils_no_sign(shell: Shell, tmp_path: Path) -> None:
    made = subprocess.run(["localedef", "-i", "en_US", "-f", "ISO-8859-1", tmp_path / "en_US.ISO-8859-1"], check=False)
    if made.returncode:
        pytest.skip("localedef has no description of the locale")
    shell.env |= {"LOCPATH": str(tmp_path), "LC_ALL": "en_US.ISO-8859-1"}
    shell("up", "./l.yml", "--detach", "--wait", "15")
    assert "✅" in shell.ok("logs", "here")
    terminal = Terminal(shell)
    terminal.read_until("● online".encode())
    terminal.close()
    assert b"\\u25cf" not in terminal.seen


def test_of_several_swarms_one_is_chosen_and_the_screen_turns_to_another(shell: Shell, tmp_path: Path) -> None:
    names = sorted(f"swarm-test-{os.urandom(3).hex()}" for _ in range(2))
    port = (tmp_path / "l.yml").read_text().split("127.0.0.1:")[1].split('"')[0]
    for name in names:
        layout = LAYOUT.format(name=name, port=port).replace("id: here", f"id: of-{name[-6:]}")
        (tmp_path / f"{name}.yml").write_text("".join(layout.splitlines(keepends=True)[:-1]))
    try:
        for name in names:
            shell.ok("up", f"./{name}.yml", "--detach")
        terminal = Terminal(shell)
        try:
            for wanted in (b"SWARMS", b"1/1", names[1].encode()):
                terminal.read_until(wanted)
            terminal.seen = b""
            os.write(terminal.leader, f":swarm {names[1]}\r".encode())
            terminal.read_until(f"opening the screen of {names[1]}".encode())
            terminal.seen = b""
            terminal.read_until(f"of-{names[1][-6:]}".encode())
            assert f"of-{names[0][-6:]}".encode() not in terminal.seen, "nothing of the other is shown"
            os.write(terminal.leader, b"q")
            terminal.read_until(f"The swarm {names[1]} runs on".encode())
            assert terminal.process.wait(10) == 0
        finally:
            terminal.close()
    finally:
        for name in names:
            shell("down", name, "--now")
