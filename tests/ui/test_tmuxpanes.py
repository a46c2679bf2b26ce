"""The panes of a real tmux server of the test's own: captured when they print and are watched, and only then."""

import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from swarm_tui.supervisor.processes import is_alive
from swarm_tui.tmux import commands
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.server import Tmux, write_config
from swarm_tui.ui.live.tmux_panes import TmuxPanes
from tests.wait import until

ECHO = ["sh", "-c", "echo here; while read -r line; do echo got $line; done"]


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    server = Tmux(f"swarm-test-{uuid.uuid4().hex[:8]}", config=write_config(tmp_path / "tmux.conf"))
    server.run_list(commands.new_session("s", "w", ECHO, "/"))
    server.run("split-window", "-t", "=s:", *ECHO)
    pid = int(server.run("display-message", "-p", "#{pid}")[0])
    yield server
    with suppress(TmuxError):
        server.run("kill-server")
    until(lambda: not is_alive(pid), what="the tmux server to end")


def test_what_is_watched_is_captured_when_it_prints(tmux: Tmux) -> None:
    first, second = tmux.run("list-panes", "-s", "-t", "=s", "-F", "#{pane_id}")
    panes = TmuxPanes(tmux, "s")
    seen: dict[str, str] = {}

    def shows(pane: str, text: str) -> bool:
        seen.update({name: "\n".join(lines) for name, lines in panes.changed().items()})
        return text in seen.get(pane, "")

    try:
        panes.watch(frozenset({first}))
        until(lambda: shows(first, "here"), what="the first capture")
        tmux.run("send-keys", "-t", second, "unseen", "Enter")
        tmux.run("send-keys", "-t", first, "one", "Enter")
        until(lambda: shows(first, "got one"), what="what the pane printed")
        assert second not in seen, "a pane that nobody sees was captured"
        panes.watch(frozenset({first, second}))
        until(lambda: shows(second, "got unseen"), what="the pane that came into view")
        assert "got one" in "\n".join(panes.history(first, 100))
        assert panes.why_not() is None
    finally:
        panes.close()
    until(lambda: tmux.run("list-clients", "-F", "#{client_pid}") == [], what="the control client to leave")


def test_a_server_that_ends_is_told_and_ends_nothing_here(tmux: Tmux) -> None:
    pane = tmux.run("list-panes", "-s", "-t", "=s", "-F", "#{pane_id}")[0]
    panes = TmuxPanes(tmux, "s")
    try:
        panes.watch(frozenset({pane}))
        until(lambda: bool(panes.changed()), what="the first capture")
        tmux.run("kill-server")
        until(lambda: panes.why_not() is not None, what="the end of tmux to be told")
    finally:
        panes.close()
