"""Who is started by way of the warm process, and what a pane does where there is none."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from swarm_tui.agent import warm_process
from swarm_tui.agent.pane_leader import CHANNEL, SHELL
from swarm_tui.agent.pane_leader import SOCKET as ASKED
from swarm_tui.config.model import RunSpec
from swarm_tui.supervisor.loop import Loop
from swarm_tui.supervisor.processes import LEADER as MARK
from swarm_tui.supervisor.warm_process import LEADER, SOCKET, WarmProcess

OWN = [sys.executable, "-c", "print('by itself')"]


@pytest.fixture
def loop() -> Loop:
    def fail(error: Exception) -> None:
        raise error

    return Loop(fail, lambda seconds: None)


def spec(command: list[str] | None = None) -> RunSpec:
    return RunSpec(agent_id="a", role="general", swarm="s", broker={}, workdir="/", state_dir="/", command=command)  # type: ignore[arg-type]


def leader(folder: Path) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-P", "-I", "-S", str(LEADER), str(folder), "--", *OWN]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)


def test_only_agents_of_ours_are_its_forks_and_only_where_it_is_wanted(tmp_path: Path, loop: Loop) -> None:
    said: list[tuple[str, ...]] = []
    warm = WarmProcess(tmp_path, loop, lambda *event: said.append(event), os.environ, wanted=True)
    try:
        assert warm.argv(spec(["sleep", "1"]), OWN) == OWN
        assert warm.pid is None
        assert warm.argv(spec(), OWN)[-len(OWN) - 2 :] == [str(tmp_path), "--", *OWN]
        assert warm.pid is not None
    finally:
        warm.close()
        loop.close()
    assert warm.argv(spec(), OWN) == OWN
    assert list(tmp_path.iterdir()) == []
    assert said == []


def test_a_pane_starts_its_agent_itself_where_nobody_listens_or_refuses(tmp_path: Path) -> None:
    assert leader(tmp_path).stdout == "by itself\n"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / SOCKET))
        assert leader(tmp_path).stdout == "by itself\n"


@pytest.mark.parametrize(("said", "code"), [(b"0\n", 0), (b"2\n", 2), (b"", -9)])
def test_the_shell_that_stays_ends_as_the_agent_did(said: bytes, code: int) -> None:
    ours, theirs = socket.socketpair()
    shell_words = ["sh", "-c", SHELL, "x"]
    become = f"import os, sys; os.dup2({theirs.fileno()}, {CHANNEL}); os.execvp('sh', sys.argv[1:])"
    with theirs:
        agent = subprocess.Popen(["sleep", "60"], start_new_session=True)
        shell = subprocess.Popen(
            [sys.executable, "-P", "-c", become, *shell_words, str(agent.pid)], pass_fds=[theirs.fileno()]
        )
    with ours:
        ours.sendall(said)
    assert shell.wait(10) == code
    assert agent.wait(10) == -9  # What is left of its group is ended.


def test_both_sides_have_the_same_names() -> None:
    assert ASKED == SOCKET
    assert f'"{MARK}"' in LEADER.read_text()


def test_it_ends_once_another_installation_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_process.Installation, "changed", lambda self: "another is installed")
    before, (lifeline, end) = signal.getsignal(signal.SIGCHLD), os.pipe()
    gone = threading.Event()
    # It would else serve to the end of time.
    timer = threading.Timer(5.0, lambda: (gone.set(), os.close(end)))
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as pane:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        pane.connect(str(tmp_path / "s"))
        timer.start()
        try:
            warm_process.serve(listener, lifeline)
        finally:
            timer.cancel()
            signal.signal(signal.SIGCHLD, before)
            os.close(lifeline)
        assert not gone.is_set()
        assert pane.recv(1) == b"", "the pane starts its agent by itself"
    os.close(end)


def test_an_environment_that_cannot_be_set_whole_is_taken_but_for_that(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        words = b"\0".join([b"/", b"18", b"1", b"agent", b"A=1", b"=odd=2", b"B=x=y"])
        with open(os.devnull) as file:
            socket.send_fds(ours, [b"%08d" % len(words) + words], [file.fileno()])
            request, terminal = warm_process._read(theirs)
        for descriptor in terminal:
            os.close(descriptor)
    assert request is not None
    assert request.environ == {"A": "1", "B": "x=y"}


def test_the_last_words_of_an_agent_that_cannot_start_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    def refuses(words: list[str]) -> int:
        raise SystemExit("no such spec")

    assert warm_process._run(refuses, []) == 1
    assert capsys.readouterr().err == "no such spec\n"
