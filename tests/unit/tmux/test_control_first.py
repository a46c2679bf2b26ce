"""tmux over a control client: a server that stands still holds nobody up, and a client that dies is not missed."""

import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm_tui.tmux import commands, control_first
from swarm_tui.tmux.control_first import ControlFirstTmux
from swarm_tui.tmux.errors import TmuxError, TmuxTimeoutError
from swarm_tui.tmux.server import write_config
from tests.wait import until


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[ControlFirstTmux]:
    config = write_config(tmp_path / "tmux.conf")
    server = ControlFirstTmux(f"swarm-test-{uuid.uuid4().hex[:8]}", config=config, timeout=0.3)
    server.run_list(commands.new_session("s", "w", ["sleep", "60"], "/"), timeout=5)
    pid = server.panes()[0].server_pid
    server.connect("s")
    assert server._client is not None
    assert server._client.wait_up(5)
    yield server
    os.kill(pid, signal.SIGCONT)
    server.disconnect()
    until(lambda: _gone(server), what="the tmux server to end")


def _gone(server: ControlFirstTmux) -> bool:
    try:
        server.run("kill-server")
    except TmuxTimeoutError:
        return False
    except TmuxError:
        return True
    return False


def test_a_server_that_stands_still_is_left_alone_and_taken_up_again(
    tmux: ControlFirstTmux, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_first, "LEFT_ALONE", 0.2)
    pid = tmux.panes()[0].server_pid
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(TmuxTimeoutError):
        tmux.panes()
    with pytest.raises(TmuxTimeoutError, match="does not answer"):
        tmux.run_list([["list-panes"], ["list-windows"]])
    for _ in range(1000):
        with pytest.raises(TmuxTimeoutError):
            tmux.run("display-message", "-p", "x" * 200)
    took = time.monotonic() - began
    assert took < 2.0, "it does not wait for each of them"
    os.kill(pid, signal.SIGCONT)
    assert len(until(lambda: _quietly(tmux), what="tmux to answer again")) == 1
    assert tmux.run("display-message", "-p", "in its turn") == ["in its turn"]


def test_what_is_not_read_is_not_written(tmux: ControlFirstTmux, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_first, "LEFT_ALONE", 0.0)
    pid = tmux.panes()[0].server_pid
    tmux.timeout = 0.002
    os.kill(pid, signal.SIGSTOP)
    # Together more than a pipe holds: a write that nobody reads would never return.
    for _ in range(100):
        with pytest.raises(TmuxTimeoutError):
            tmux.run("display-message", "-p", "x" * 1000)
    os.kill(pid, signal.SIGCONT)
    tmux.timeout = 1.0
    assert until(lambda: _quietly(tmux), what="tmux to answer again")


def _quietly(tmux: ControlFirstTmux) -> list[object]:
    try:
        return list(tmux.panes())
    except TmuxTimeoutError:
        return []


def test_without_its_client_plain_commands_go_on(tmux: ControlFirstTmux) -> None:
    client = tmux._client
    assert client is not None
    assert client._process is not None
    former = client._process.pid
    tmux.timeout = 5.0
    os.kill(former, signal.SIGSTOP)  # It dies in the middle of a question.
    os.kill(former, signal.SIGKILL)
    for _ in range(5):
        assert [pane.session for pane in tmux.panes()] == ["s"]
        assert tmux.run_each([["display-message", "-p", "a"], ["display-message", "-p", "b"]]) == ["a", "b"]
    until(lambda: client.is_up and client._process is not None and client._process.pid != former, what="a new client")
    assert tmux.run("display-message", "-p", "over it") == ["over it"]
