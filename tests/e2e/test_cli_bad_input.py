"""Bad input: each kind ends in a sentence of its own and in its own exit code, and never in a traceback."""

import os
import pty
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from swarm_tui.client.record import ANSWER_WITHIN
from swarm_tui.config.paths import StateDir
from swarm_tui.protocol.bodies import Status
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.topics import Kind
from tests.brokers.kinds import mosquitto
from tests.conftest import RealBroker, pick_port
from tests.e2e.shell import Shell, nine, watching


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def refused(shell: Shell, *words: str, code: int, says: str, **env: str) -> str:
    """Run it; it must end with `code` and say so in one line or a few, without a traceback."""
    done = shell(*words, **env)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr + done.stdout
    assert "a mistake of ours" not in done.stderr
    assert says in done.stderr, (words, done.stderr)
    return done.stderr


def test_an_unknown_layout_lists_those_found_and_starts_nothing(shell: Shell) -> None:
    said = refused(shell, "up", "opencto-dve", "--detach", code=2, says="did you mean `opencto-dev`?")
    assert "opencto-dev (shipped)" in said


def test_a_layouts_mistakes_have_their_places_and_nothing_starts(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "bad.yml"
    path.write_text("swarm: x\nagents:\n  - {role: docs, restart: maybe}\n  - {rle: docs}\n")
    for words in (("validate", "bad.yml"), ("up", "./bad.yml", "--detach")):
        done = shell(*words)
        assert done.returncode == 2
        assert [line.split(": ")[0].rpartition("/")[2] for line in done.stderr.splitlines()] == [
            "bad.yml:3:18", "bad.yml:4:5", "bad.yml:4:6",
        ]  # fmt: skip
    assert not (Path(shell.env["XDG_STATE_HOME"]) / "swarm-tui" / "x").exists()


def test_a_refused_broker_and_an_unknown_name(shell: Shell, free_port: int) -> None:
    refused(shell, "status", "--broker", f"mqtt://127.0.0.1:{free_port}", code=3, says="nothing listens on")
    refused(shell, "publish", "x", "--broker", "mqtt://no-such-host.invalid", code=3, says="DNS")
    refused(shell, "watch", "--broker", "unix:///no/such.sock", code=3, says="there is no socket")


def test_a_wrong_password(shell: Shell, make_broker: Callable[..., RealBroker], tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    passwords.chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "me", "right"], check=True) if shutil.which(
        "mosquitto_passwd"
    ) else pytest.skip("mosquitto_passwd is not installed")
    broker = make_broker(extra=f"allow_anonymous false\npassword_file {passwords}")
    url = ("--broker", broker.url)
    refused(shell, "status", *url, code=3, says="refuses the user 'me'", MQTT_USERNAME="me", MQTT_PASSWORD="wrong")
    refused(shell, "status", *url, code=3, says="user")
    assert shell("halt", *url, MQTT_USERNAME="me", MQTT_PASSWORD="right").returncode == 4


class Talker:
    """A server that is no MQTT broker."""

    def __init__(self, answer: bytes) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._socket.accept()
                with peer, suppress(OSError):
                    peer.recv(100)
                    peer.sendall(self._answer)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def talker() -> Iterator[Talker]:
    talker = Talker(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    yield talker
    talker.close()


def test_a_port_held_by_something_else_and_no_tls_there(shell: Shell, talker: Talker, tmp_path: Path) -> None:
    refused(shell, "status", "--broker", f"mqtt://127.0.0.1:{talker.port}", code=3, says="MQTT")
    refused(shell, "status", "--broker", f"mqtts://127.0.0.1:{talker.port}", code=3, says="TLS")
    (tmp_path / "held.yml").write_text(nine("held", talker.port, f"swarm-test-{uuid.uuid4().hex[:8]}", pick_port()))
    refused(shell, "up", "./held.yml", "--detach", code=3, says="MQTT")


def test_a_certificate_that_nobody_signed(shell: Shell, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, cert = tmp_path / "k.pem", tmp_path / "c.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError, ssl.SSLError):
            peer, _ = server.accept()
            with peer:
                context.wrap_socket(peer, server_side=True).close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        url = f"mqtts://localhost:{server.getsockname()[1]}"
        refused(shell, "status", "--broker", url, code=3, says="certificate")
    finally:
        server.close()
        thread.join(5)


def test_without_tmux_it_says_so(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "l.yml").write_text(nine("l", pick_port(), "swarm-test-none", pick_port()))
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(shell, "up", "./l.yml", "--detach", code=1, says="tmux is not installed", PATH=str(empty))
    old = empty / "tmux"
    old.write_text("#!/bin/sh\necho tmux 3.1c\n")
    old.chmod(0o755)
    refused(shell, "up", "./l.yml", "--detach", code=1, says="tmux 3.1 is too old", PATH=f"{empty}:/bin:/usr/bin")


def test_without_a_terminal_it_names_detach(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "l.yml").write_text(nine("l", pick_port(), "swarm-test-none", pick_port()))
    refused(shell, "up", "./l.yml", code=1, says="--detach")
    refused(shell, code=4, says="`swarm-tui up` starts one")
    refused(shell, "screen", code=2, says="not a terminal")


def test_what_is_not_there_is_exit_4(shell: Shell, real_broker: RealBroker) -> None:
    refused(shell, "status", "--swarm", "nobody", "--broker", real_broker.url, code=4, says="no swarm `nobody`")
    refused(shell, "tasks", "t1", "--swarm", "nobody", "--broker", real_broker.url, code=4, says="no task `t1`")
    refused(shell, "logs", "a1", "--swarm", "nobody", "--broker", real_broker.url, code=4, says="no agent `a1`")
    refused(shell, "down", "nobody", code=4, says="no swarm `nobody` runs here")


def test_down_of_what_is_not_there_makes_nothing_and_purges_what_is_left(shell: Shell) -> None:
    states = Path(shell.env["XDG_STATE_HOME"]) / "swarm-tui"
    for words in (("down", "nobody"), ("down", "nobody", "--purge")):
        said = refused(shell, *words, code=4, says="no swarm `nobody` runs here")
        assert said.count("\n") == 1
        assert not (states / "nobody").exists()
    StateDir(states / "before").create()
    assert shell.ok("down", "before", "--purge") == "before was down; its state is deleted\n"
    assert not (states / "before").exists()
    refused(shell, "down", "before", "--purge", code=4, says="no swarm `before` runs here")


def test_a_dry_run_tells_who_waits_for_work_and_what_runs(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "l.yml").write_text(
        f"swarm: l\nbroker: {{url: 'mqtt://127.0.0.1:{pick_port()}'}}\ntmux: {{socket: swarm-test-none}}\n"
        "agents: [{role: testing, min: 1, max: 2, command: [echo, '{agent_id}']}]\n"
    )
    first, second = [line for line in shell.ok("up", "./l.yml", "--dry-run").splitlines() if line.startswith("agent")]
    assert first.endswith("(1 to 2 of them)  echo testing-01")
    assert second.endswith("(1 to 2 of them; only when its role has more work)  echo testing-02")


@pytest.mark.parametrize("home", ["/dev/null", "/proc/nope", "/sys/kernel"])
def test_a_state_folder_that_cannot_be_is_told_with_what_to_do(shell: Shell, tmp_path: Path, home: str) -> None:
    (tmp_path / "l.yml").write_text(nine("l", pick_port(), "swarm-test-none", pick_port()))
    for words in (("up", "./l.yml", "--detach"), ("down", "l"), ("supervise",), ("agent", "--agent-id", "a")):
        said = refused(shell, *words, code=1, says="set XDG_STATE_HOME", XDG_STATE_HOME=home)
        assert said.count("\n") == 1
    done = shell("doctor", XDG_STATE_HOME=home)
    assert done.returncode == 1
    assert "BAD   state: " in done.stdout


def test_doctor_names_what_the_screen_would_refuse(shell: Shell) -> None:
    folder = Path(shell.env["XDG_CONFIG_HOME"]) / "swarm-tui"
    folder.mkdir()
    (folder / "config.yml").write_text("theme: drak\nkeys: {pubish: x}\n")
    said = shell("doctor").stdout
    assert "config.yml:1:1: no theme `drak`" in said
    assert "config.yml:2:8: no action `pubish`; did you mean `publish`?" in said


@pytest.mark.parametrize(
    "words",
    [("halt",), ("resume",), ("cancel", "t1"), ("retry", "t1"), ("approve", "t1"), ("tasks",)],
)
def test_a_swarm_that_is_nowhere_is_exit_4(shell: Shell, real_broker: RealBroker, words: tuple[str, ...]) -> None:
    said = refused(shell, *words, "--swarm", "nobody", "--broker", real_broker.url, code=4, says="no swarm `nobody`")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("halt",), 4), (("tasks",), 4), (("status",), 4), (("runs",), 4), (("send", "a", "hi"), 4),
        (("publish", "x", "--accept-timeout", "3"), 1),
    ],
)  # fmt: skip
def test_a_swarm_of_which_the_broker_lets_us_say_nothing(
    shell: Shell, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    port, rules = pick_port(), tmp_path / "acl"
    rules.write_text("topic read #\ntopic readwrite other/#\n")
    rules.chmod(0o600)
    with mosquitto(tmp_path, port, "allow_anonymous true", f"acl_file {rules}"):
        url = f"mqtt://127.0.0.1:{port}"
        said = refused(shell, *words, "--swarm", "nobody", "--broker", url, code=code, says="does not take what we say")
    assert "PermissionError" not in said
    assert said.count("its access rules must allow it") == (1 if code == 4 else 2)


def present(broker: RealBroker, agent_id: str = "a1") -> None:
    """An agent that was started by hand, as the broker remembers it."""
    writer = Writer("opencto-dev", agent_id, "general", new_id=lambda: uuid.uuid4().hex, clock=time.time)
    message = writer.message(Kind.STATUS, Status(status="online", capabilities=["code.generate"]), agent_id)
    words = ["mosquitto_pub", "-p", str(broker.port), "-r", "-q", "1", "-t", message.topic, "-s"]
    subprocess.run(words, input=message.payload, check=True)


def test_who_may_not_halt_is_not_told_that_it_is_done(shell: Shell, tmp_path: Path) -> None:
    port, rules = pick_port(), tmp_path / "acl"
    rules.write_text("topic read #\ntopic write opencto-dev/agents/#\ntopic write opencto-dev/operators/#\n")
    rules.chmod(0o600)
    with mosquitto(tmp_path, port, "allow_anonymous true", f"acl_file {rules}"):
        broker = RealBroker(port, tmp_path)
        present(broker)
        refused(
            shell, "halt", "--broker", broker.url, code=1, says="opencto-dev is not halted: the broker does not take"
        )


def test_mail_and_runs_without_a_dispatcher_say_so_at_once(
    shell: Shell, real_broker: RealBroker, tmp_path: Path
) -> None:
    present(real_broker)
    at = ("--broker", real_broker.url, "--accept-timeout", "1")
    (tmp_path / "one.yml").write_text("workflow: one\nsteps: {a: {type: code.generate}}\n")
    for words in (("send", "a1", "hello"), ("run", str(tmp_path / "one.yml"))):
        told = refused(shell, *words, *at, code=1, says="no dispatcher is there in opencto-dev; `swarm-tui start")
        assert "trying for 1 s" in told


def test_a_task_for_nobody_is_exit_4_before_it_is_published(shell: Shell, real_broker: RealBroker) -> None:
    present(real_broker)
    url = ("--broker", real_broker.url, "--accept-timeout", "0.2")
    refused(shell, "publish", "noop", "--to", "a2", *url, code=4, says="no agent `a2` in opencto-dev; known: a1")
    refused(shell, "publish", "testing.run", "--to", "a1", *url, code=1, says="a1 does no testing.run")


@pytest.mark.parametrize("words", [(), ("--changes", "--since", "5m")])
def test_history_of_a_swarm_in_which_nobody_keeps_the_record_is_refused_at_once(
    shell: Shell, real_broker: RealBroker, words: tuple[str, ...]
) -> None:
    present(real_broker)
    began = time.monotonic()
    refused(shell, "history", *words, "--broker", real_broker.url, code=1, says="none is there; `swarm-tui status`")
    assert time.monotonic() - began < ANSWER_WITHIN


def test_nobody_to_accept_a_task_is_exit_1(shell: Shell, real_broker: RealBroker) -> None:
    present(real_broker)
    words = ("publish", "x", "--broker", real_broker.url, "--accept-timeout", "0.5")
    refused(shell, *words, code=1, says="nobody accepted it within 0.5 s")
    refused(shell, "cancel", "t1", "--broker", real_broker.url, code=1, says="no dispatcher")


def test_a_broken_pipe_and_ctrl_c_end_quietly(shell: Shell, real_broker: RealBroker) -> None:
    piped = f"{sys.executable} -m swarm_tui --help | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", piped], env=shell.env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    with watching(shell, "--broker", real_broker.url) as watch:
        watch.send_signal(signal.SIGINT)
        out, err = watch.communicate(timeout=10)
    assert (watch.returncode, out, err) == (130, "", "")


def test_colour_only_on_a_terminal_and_never_with_no_color(shell: Shell) -> None:
    def on_terminal(**env: str) -> bytes:
        leader, follower = pty.openpty()
        words = [sys.executable, "-m", "swarm_tui", "doctor"]
        process = subprocess.Popen(words, env={**shell.env, "TERM": "xterm", **env}, stdout=follower, stderr=follower)
        os.close(follower)
        seen = b""
        with suppress(OSError):
            while chunk := os.read(leader, 65536):
                seen += chunk
        process.wait(30)
        os.close(leader)
        return seen

    assert b"\x1b[32m" in on_terminal()
    assert b"\x1b[3" not in on_terminal(NO_COLOR="1")
    assert "\x1b[" not in shell("doctor").stdout
