"""A real tmux server of the test's own: failure is told from nothing, and a control client keeps up."""

import fcntl
import os
import shlex
import signal
import struct
import subprocess
import termios
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm_tui.supervisor.processes import is_alive
from swarm_tui.tmux import commands
from swarm_tui.tmux.attach import attach_argv, attach_environ, far_argv, is_inside, restore
from swarm_tui.tmux.control import ControlClient, quoted
from swarm_tui.tmux.errors import NoServerError, TmuxError, TmuxMissingError, TmuxTimeoutError
from swarm_tui.tmux.panes import AGENT
from swarm_tui.tmux.server import Tmux, check_version, socket_folder, write_config
from tests.wait import until


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    server = Tmux(f"swarm-test-{uuid.uuid4().hex[:8]}", config=write_config(tmp_path / "tmux.conf"))
    yield server
    try:
        pid = server.run("display-message", "-p", "#{pid}")[0]
        server.run("kill-server")
        until(lambda: not is_alive(int(pid)), what="the tmux server to end")
    except TmuxError:
        pass


def test_no_server_is_no_panes_but_a_refusal_is_an_error(tmux: Tmux, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tmux.panes() == []
    with pytest.raises(NoServerError):
        tmux.run("list-sessions")
    tmux.run_list(commands.new_session("s", "w", ["sleep", "60"], "/"))
    with pytest.raises(TmuxError, match="nonsense"):
        tmux.run("nonsense")
    monkeypatch.setattr("swarm_tui.tmux.server.parse_pane", lambda line: None)
    with pytest.raises(TmuxError, match="no sense"):
        tmux.panes()


def test_a_wedged_server_does_not_hang_us(tmux: Tmux) -> None:
    tmux.run_list(commands.new_session("s", "w", ["sleep", "60"], "/"))
    pid = int(tmux.run("display-message", "-p", "#{pid}")[0])
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(TmuxTimeoutError):
            tmux.run("list-sessions", timeout=0.2)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_panes_are_made_and_tagged_in_one_list(tmux: Tmux, tmp_path: Path) -> None:
    log = tmp_path / "a%b#c.log"
    swarm = "odd | name; 'x'"
    said = tmux.run_list(
        [
            *commands.new_session("s | s", "control", ["sleep", "60"], "/"),
            *commands.new_window("s | s", "agents", ["sh", "-c", "while :; do echo said; sleep 0.05; done"], "/"),
            *commands.log_to(log),
            *commands.keep_dead(),
            *commands.tags(None, commands.agent_tags(swarm, "one", "general", 1)),
            # What is printed in the moment of its end tmux may never read (one in fifty, on a loaded machine).
            *commands.split(None, ["sh", "-c", "echo last; sleep 0.2; exit 7"], "/"),
            *commands.keep_dead(),
            *commands.tags(None, commands.agent_tags(swarm, "two", "general", 1)),
        ]
    )
    assert len([line for line in said if line.startswith("%")]) == 3
    panes = {pane.agent: pane for pane in tmux.panes()}
    assert {(pane.swarm, pane.session, pane.window) for name, pane in panes.items() if name} == {
        (swarm, "s | s", "agents")
    }
    dead = until(lambda: next((pane for pane in tmux.panes() if pane.agent == "two" and pane.dead), None))
    assert dead.status in (7, None)
    # tmux can know of the end before it has read all that was printed.
    until(lambda: tmux.capture(dead.pane_id)[-1:] == ["last"], what="its last words, and not what tmux says of its end")
    until(lambda: "said" in log.read_text(), what="the pane's words in its log")
    tmux.run_list(commands.respawn(dead.pane_id, ["sh", "-c", "sleep 60"], "/"))
    again = next(pane for pane in tmux.panes() if pane.agent == "two")
    assert (again.pane_id, again.dead) == (dead.pane_id, False)


def test_secrets_of_the_caller_do_not_reach_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "secret")
    assert "MQTT_PASSWORD" not in Tmux("x").environ
    assert "MQTT_PASSWORD" in Tmux("default").environ


def test_an_old_or_missing_tmux_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "tmux"
    fake.write_text("#!/bin/sh\necho tmux 3.1c\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TmuxMissingError, match=r"3\.1 is too old"):
        check_version()
    fake.unlink()
    with pytest.raises(TmuxMissingError, match="not installed"):
        check_version()


def test_attach_leaves_the_outer_tmux_alone(tmux: Tmux) -> None:
    assert "TMUX" not in attach_environ({"TMUX": "/tmp/x,1,0", "TMUX_PANE": "%1", "HOME": "/"})
    assert attach_argv("own", "s", "%3")[:4] == ["tmux", "-u", "-L", "own"]
    assert attach_argv("own", "s", "%3")[-3:] == ["attach-session", "-t", "=s"]
    assert attach_argv("default", "s", inside=True)[:5] == ["tmux", "-u", "switch-client", "-t", "=s"]
    tmux.run_list(commands.new_session("s", "w", ["sleep", "60"], "/"))
    path = tmux.run("display-message", "-p", "#{socket_path}")[0]
    assert is_inside(tmux, {"TMUX": f"{path},1,0"})
    assert not is_inside(tmux, {"TMUX": "/tmp/another,1,0"})
    assert not is_inside(tmux, {})


def test_what_a_host_says_of_its_address_is_no_option_and_no_command() -> None:
    argv = far_argv("ada@box-2", "a swarm; reboot", "x")
    assert argv[:4] == ["ssh", "-t", "--", "ada@box-2"]
    assert shlex.split(argv[4]) == ["swarm-tui", "attach", "--swarm", "a swarm; reboot", "x"]
    for address in ("-oProxyCommand=reboot", "a b", "a;b", "$(a)", "", "a" * 300):
        with pytest.raises(ValueError, match="no address"):
            far_argv(address, "s", "x")


@pytest.mark.parametrize(("term", "way"), [("xterm", " C-b d goes back"), ("screen", " C-b C-b d goes back")])
def test_who_leaves_a_pane_leaves_it_as_it_was(tmux: Tmux, term: str, way: str) -> None:
    made = tmux.run_list(commands.new_session("s", "w", ["sleep", "60"], "/"))
    pane = made[0].split()[0]
    tmux.run_list(commands.split(pane, ["sleep", "60"], "/"))
    tmux.run_list(commands.tags(pane, {AGENT: "testing-01"}))
    shape = ("list-panes", "-t", "=s:", "-F", "#{pane_width}x#{pane_height} #{window_zoomed_flag}")
    before = tmux.run(*shape)
    watching = ControlClient(tmux, "s", on_output=lambda pane: None, on_gone=lambda reason: None)
    terminal, inner = os.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    try:
        assert watching.wait_up(5)
        argv = attach_argv(tmux.socket, "s", pane)
        environ = attach_environ() | {"TERM": term}
        person = subprocess.Popen(argv, stdin=inner, stdout=inner, stderr=inner, env=environ, start_new_session=True)
        until(lambda: tmux.run(*shape)[0] == "80x23 1", what="the pane to be the person's")
        shown: list[str] = []

        def way_back() -> bool:
            shown.append(os.read(terminal, 65536).decode(errors="replace"))
            return way in "".join(shown)

        until(way_back, what="the way back")
        assert ("C-b C-b" in "".join(shown)) is (term == "screen"), "a key twice only within another tmux"
        restore(tmux, "s")
        assert tmux.run(*shape)[0] == "80x23 1", "somebody still looks"
        os.write(terminal, b"\x02d")
        person.wait(10)
        restore(tmux, "s")
        assert tmux.run(*shape) == before
        assert tmux.run("show-options", "-w", "-v", "-t", "=s:", "window-size") == []
    finally:
        watching.close()
        os.close(terminal)
        os.close(inner)


def test_a_control_client_commands_captures_and_hears(tmux: Tmux) -> None:
    script = "printf 'x\\n%%end 1 2 1\\n\\033[31mred\\033[0m\\n'; while :; do sleep 0.02; echo tick; done"
    tmux.run_list(commands.new_session("s", "w", ["sh", "-c", script], "/"))
    dirty: list[str] = []
    gone: list[str] = []
    client = ControlClient(tmux, "s", on_output=dirty.append, on_gone=gone.append)
    try:
        assert client.wait_up(5)
        until(lambda: dirty, what="output")
        shown = client.capture("%0", history=50)
        assert any("\x1b[31mred" in row for row in shown)
        assert any("%end 1 2 1" in row for row in shown)
        assert client.command("display-message", "-p", "a;b ~ $HOME \"q\" 'r' \\ #{pane_id}") == [
            "a;b ~ $HOME \"q\" 'r' \\ %0"
        ]
        with pytest.raises(TmuxError, match="unknown command"):
            client.command("nonsense")
        assert len(client.capture_many(["%0", "%0"], colours=False)) == 2
        tmux.run("kill-server")
        until(lambda: gone and not client.is_up, what="the loss to be noticed")
        with pytest.raises(TmuxError):
            client.command("list-panes")
        tmux.run_list(commands.new_session("s", "w", ["sleep", "60"], "/"))
        assert client.wait_up(10)
        assert client.command("list-panes")
    finally:
        client.close()
    until(lambda: tmux.run("list-clients") == [], what="the client to be gone")


def test_plain_words_are_not_quoted() -> None:
    assert quoted("list-panes") == "list-panes"
    assert quoted("") == '""'
    assert quoted("%1") == '"%1"'


def test_a_session_is_found_under_any_name(tmux: Tmux) -> None:
    tmux.run_list(commands.new_session("ours", "control", ["sleep", "60"], "/"))
    tmux.run("set-option", "-p", "-t", "=ours:", "@swarm", "s")
    (pane,) = tmux.panes()
    tmux.run("rename-session", "-t", "=ours", "as people like it")
    assert [(p.session, p.session_id) for p in tmux.panes()] == [("ours", pane.session_id)]
    tmux.run("new-session", "-d", "-s", "ours", "--", "sleep", "60")
    assert tmux.target("ours") == pane.session_id
    made = tmux.run_list(commands.new_window(tmux.target("ours"), "agents", ["sleep", "60"], "/"))
    assert {p.session_id for p in tmux.panes() if p.pane_id in made[0]} == {pane.session_id}
    client = ControlClient(tmux, "ours")
    try:
        assert client.wait_up(5)
        assert client.command("display-message", "-p", "#{session_id}") == [pane.session_id]
    finally:
        client.close()


@pytest.mark.parametrize("setting", ["set -g destroy-unattached on", "set -s exit-unattached on"])
def test_a_session_of_ours_stays_where_the_user_has_them_vanish(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".tmux.conf").write_text(f"{setting}\n")
    monkeypatch.setenv("HOME", str(home))
    theirs = Tmux("default")  # Of this test alone, by its TMUX_TMPDIR.
    theirs.run("new-session", "-d", "-s", "theirs", "--", "sleep", "60")
    until(lambda: not theirs.panes(), what="that the user's own session vanishes")
    theirs.run_list(commands.new_session("ours", "control", ["sleep", "60"], "/"))
    try:
        other = Tmux("default")
        for _ in range(3):
            assert [pane.session for pane in other.panes()] == ["ours"]
        other.run_list([["list-sessions"], ["list-windows", "-a"]])
        assert other.has_session("ours")
    finally:
        theirs.run("kill-server")


def test_sockets_are_where_tmux_puts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for said, folder in ((str(tmp_path), tmp_path), (str(tmp_path / "none"), Path("/tmp")), ("", Path("/tmp"))):
        monkeypatch.setenv("TMUX_TMPDIR", said)
        assert socket_folder() == folder / f"tmux-{os.getuid()}"


def test_a_folder_is_where_it_is_whatever_tmux_reads_in_its_name(tmux: Tmux, tmp_path: Path) -> None:
    """`#S` is a session to tmux, and `#(…)` a command for a shell."""
    folder = tmp_path / "C#Sharp #(touch made) #{pid}"
    folder.mkdir()
    shows = ["sh", "-c", "pwd >> where; exec sleep 60"]
    tmux.run_list(commands.new_session("s", "w", shows, str(folder)))
    pane = tmux.panes()[0].pane_id
    for todo in (
        commands.new_window("=s", "w", shows, str(folder)),
        commands.split(pane, shows, str(folder)),
        commands.respawn(pane, shows, str(folder)),
    ):
        tmux.run_list(todo)

    def said() -> list[str]:
        return (folder / "where").read_text().splitlines() if (folder / "where").exists() else []

    until(lambda: len(said()) == 4, what="each pane to say where it is")
    assert set(said()) == {str(folder)}
    assert not Path("/made").exists()
    assert not list(tmp_path.rglob("made"))
