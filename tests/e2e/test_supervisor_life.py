"""A real swarm: nothing dies unnoticed, nothing runs twice, and `down` leaves nothing."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_tui.supervisor import processes, state_file
from swarm_tui.supervisor.broker_pane import listens
from swarm_tui.supervisor.plan import DownRequest, request_down
from swarm_tui.tmux.panes import panes_by_libtmux
from tests.conftest import RealBroker
from tests.e2e.supervised_swarm import Swarm, light, own, retained, sleeper
from tests.wait import until

Make = Callable[..., Swarm]


def test_a_swarm_lives_and_leaves_nothing(make: Make, free_port: int) -> None:
    swarm = make(free_port, [own("boss", "task-manager"), own("a"), light("b")])
    said = swarm.up()
    assert f"tmux -L {swarm.socket} attach -t ={swarm.name}" in said
    first, panes = swarm.pids(), swarm.panes()
    assert set(first) == {"boss", "a", "b"}
    assert {name: pane.pid for name, pane in panes.items()} == first
    assert panes_by_libtmux(swarm.socket) == {swarm.name: {"control": 0, "agents": 3}}

    assert "goes on" in swarm.up()
    assert swarm.pids() == first

    swarm.kill(first["a"])
    row = swarm.await_row("a", lambda row: row.restarts == 1 and row.state == "online")
    assert row.exit_signal == 9
    assert row.pane_id == panes["a"].pane_id
    assert swarm.log("a").count("── a ·") == 2

    before = swarm.pids()
    swarm.kill(swarm.supervisor())
    swarm.kill(first["b"])
    until(lambda: swarm.pids()["b"] not in (None, first["b"]), what="a successor that restarts b")
    swarm.await_row("b", lambda row: row.state == "online")
    assert {name: pid for name, pid in swarm.pids().items() if name != "b"} == {
        name: pid for name, pid in before.items() if name != "b"
    }
    assert swarm.rows()["a"].restarts == 1

    swarm.run("publish", "nothing.known")
    assert retained(free_port, swarm.name)
    broker = [p.pid for p in swarm.tmux.panes() if p.role == "broker"]
    swarm.down()
    assert swarm.processes() == []
    assert not any(processes.is_alive(pid) for pid in broker)
    assert not listens(free_port)
    assert not list(Path(swarm.tmux.environ["TMUX_TMPDIR"]).glob(f"*/{swarm.socket}"))
    assert swarm.run("down", swarm.name).returncode == 4


def test_down_clears_what_was_retained_and_touches_no_other_swarm(make: Make, real_broker: RealBroker) -> None:
    one = make(real_broker.port, [own("a")])
    two = make(real_broker.port, [own("a")])
    assert "not ours" in one.up()
    two.up()
    assert "(connected, not ours)" in one.run("status", one.name).stdout
    assert one.pids()["a"] != two.pids()["a"]
    assert retained(real_broker.port, one.name)
    one.down()
    assert retained(real_broker.port, one.name) == []
    assert set(retained(real_broker.port, two.name)) >= {f"{two.name}/agents/a/status"}
    assert listens(real_broker.port)
    assert two.rows()["a"].state == "online"


def test_the_embedded_broker_goes_with_the_last_swarm(make: Make, free_port: int) -> None:
    one = make(free_port, [light("a")])
    two = make(free_port, [light("b")], socket=one.socket)
    one.up()
    two.up()
    pid = next(pane.pid for pane in one.tmux.panes() if pane.role == "broker")
    one.down()
    broker = next(pane for pane in two.tmux.panes() if pane.role == "broker")
    assert (broker.pid, broker.session) == (pid, two.name)
    assert listens(free_port)
    two.kill(pid)
    until(lambda: listens(free_port), what="the broker to be restarted by its heir")
    two.down()
    assert not listens(free_port)


def test_one_that_fails_is_named_with_its_last_words(
    make: Make, real_broker: RealBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = tmp_path / "faults"
    faults.mkdir()
    monkeypatch.setenv("LIGHT_AGENT_FAULTS", str(faults))
    (faults / "bad").touch()
    swarm = make(real_broker.port, [light("good"), light("bad")], supervisor={"crash_count": 3, "backoff_first": 0.05})
    said = swarm.up(fails=True)
    assert "did not register" in said
    assert "bad: crashloop" in said
    assert "boom" in said
    row = swarm.rows()["bad"]
    assert (row.exit_status, row.restarts) == (3, 2)
    (faults / "bad").unlink()
    done = swarm.run("start", "--swarm", swarm.name, "bad")
    assert done.returncode == 0, done.stderr
    assert swarm.rows()["bad"].state == "online"


def test_silence_of_a_live_process_is_hung_and_ends_in_a_restart(make: Make, real_broker: RealBroker) -> None:
    figures = {"silent_after": 2.0, "term_wait": 0.5}
    swarm = make(real_broker.port, [light("a"), light("b"), light("c")], supervisor=figures)
    swarm.up()
    before = swarm.pids()
    # Not SIGSTOP: tmux sends SIGCONT to a pane's process that stops.
    swarm.kill(before["a"], signal.SIGUSR2)
    row = swarm.await_row("a", lambda row: row.restarts == 1 and row.state == "online")
    assert row.pid != before["a"]
    assert len(swarm.events("hung")) == 1
    assert {name: pid for name, pid in swarm.pids().items() if name != "a"} == {"b": before["b"], "c": before["c"]}


def test_a_silent_broker_restarts_nobody(make: Make, real_broker: RealBroker) -> None:
    swarm = make(real_broker.port, [light("a"), light("b"), light("c")], supervisor={"silent_after": 1.0})
    swarm.up()
    before = swarm.pids()
    real_broker.signal(signal.SIGSTOP)
    with pytest.raises(AssertionError, match="anybody"):
        until(lambda: swarm.events("hung"), 1.8, "anybody to be called hung")
    real_broker.signal(signal.SIGCONT)
    real_broker.kill()
    real_broker.start()
    until(lambda: swarm.saved().bus_up, what="the supervisor to be back on the bus")
    assert swarm.pids() == before


def test_panes_windows_and_the_server_come_back(make: Make, real_broker: RealBroker) -> None:
    swarm = make(real_broker.port, [sleeper("a"), sleeper("b")])
    swarm.up(fails=True, wait="1")

    def whole() -> bool:
        panes = swarm.panes()
        rows = swarm.rows()
        return set(panes) == {"a", "b"} and all(
            not pane.dead and rows[name].pid == pane.pid and processes.is_alive(pane.pid)
            for name, pane in panes.items()
        )

    until(whole, what="both panes")
    swarm.tmux.run("rename-window", "-t", f"={swarm.name}:agents", "mine")
    swarm.tmux.run("kill-pane", "-t", swarm.panes()["a"].pane_id)
    until(whole, what="a's pane again")
    swarm.tmux.run("kill-window", "-t", swarm.panes()["a"].window_id)
    until(lambda: whole(), 15, what="the agents' window again")
    swarm.tmux.run("kill-window", "-t", f"={swarm.name}:control")
    until(lambda: any(p.role == "supervisor" for p in swarm.tmux.panes()), what="the control window again")
    assert "mended" in swarm.up(fails=True, wait="0.5")
    swarm.tmux.run("kill-server")
    until(lambda: whole(), 15, what="everything again")


def test_a_session_of_another_is_refused_and_left_alone(make: Make, real_broker: RealBroker) -> None:
    swarm = make(real_broker.port, [light("a")])
    swarm.tmux.run("new-session", "-d", "-s", swarm.name, "--", "sleep", "1000")
    said = swarm.up(fails=True)
    assert "is not ours" in said
    assert [pane.session for pane in swarm.tmux.panes()] == [swarm.name]


def test_two_ups_at_once_double_nothing(make: Make, real_broker: RealBroker) -> None:
    swarm = make(real_broker.port, [light("a"), light("b")])
    line = [sys.executable, "-m", "swarm_tui", "up", str(swarm.path), "--detach"]
    both = [subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    said = [process.communicate(timeout=40)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert len(swarm.panes()) == 2
    assert len([pane for pane in swarm.tmux.panes() if pane.role == "supervisor"]) == 1


def test_a_port_that_is_no_broker_is_said_and_nothing_starts(make: Make, free_port: int) -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port))
        listener.listen()
        swarm = make(free_port, [light("a")])
        done = swarm.run("up", str(swarm.path), "--detach")
        assert done.returncode == 3
        assert "no MQTT broker" in done.stderr
        assert swarm.tmux.panes() == []


def test_without_a_terminal_it_says_detach(make: Make, free_port: int) -> None:
    swarm = make(free_port, [light("a")])
    done = swarm.run("up", str(swarm.path))
    assert done.returncode == 1
    assert "--detach" in done.stderr
    assert swarm.tmux.panes() == []


def test_a_changed_layout_applies_just_the_difference(make: Make, real_broker: RealBroker) -> None:
    swarm = make(real_broker.port, [light("a"), light("b"), light("c")])
    swarm.up()
    before = swarm.pids()
    swarm.write(agents=[light("a"), light("b", env={"NEW": "1"}), light("d")])
    said = swarm.up()
    assert {"+ d", "- c", "~ b"} <= set(said.splitlines())
    until(lambda: set(swarm.panes()) == {"a", "b", "d"}, what="c's pane to go")
    assert swarm.pids()["a"] == before["a"]
    assert swarm.pids()["b"] != before["b"]


def test_scale_and_restart_by_command(make: Make, real_broker: RealBroker) -> None:
    crew = {"role": "testing", "min": 1, "max": 3, "command": light("x")["command"]}
    swarm = make(real_broker.port, [crew, light("other")])
    swarm.up()
    assert swarm.run("scale", "--swarm", swarm.name, "testing", "3").returncode == 0
    assert set(swarm.panes()) == {"testing-01", "testing-02", "testing-03", "other"}
    before = swarm.pids()
    done = swarm.run("restart", "--swarm", swarm.name, "testing")
    assert done.returncode == 0, done.stderr
    assert not set(before.values()) & {swarm.pids()[f"testing-0{n}"] for n in (1, 2, 3)}
    assert swarm.pids()["other"] == before["other"]
    assert swarm.run("scale", "--swarm", swarm.name, "testing", "1").returncode == 0
    assert set(swarm.panes()) == {"testing-01", "other"}
    for ends in (0, 1):  # The second time the limits leave nothing to do.
        limited = swarm.run("scale", "--swarm", swarm.name, "testing", "9")
        assert (limited.returncode, "1 to 3" in limited.stderr) == (ends, True), limited.stderr
    assert swarm.run("stop", "--swarm", swarm.name, "nobody").returncode == 4


def test_a_second_host_joins_and_is_steered_over_the_bus(make: Make, real_broker: RealBroker) -> None:
    near = make(real_broker.port, [light("a")], host="near")
    far = make(real_broker.port, [light("z")], host="far", swarm=f"{near.name}")
    far.path = far.path.with_name("far.yml")
    far.write(session="far")
    near.write()
    near.up()
    added = near.run("broker", "add", "far", "--as", "host", "--swarm", near.name)
    assert added.returncode == 0, added.stderr
    import os

    home = os.environ["XDG_STATE_HOME"]
    os.environ["XDG_STATE_HOME"] = home + "-far"
    try:
        far.state = type(far.state)(Path(home + "-far") / "swarm-tui" / near.name)
        far.up("--join", added.stdout.strip())
        far_pid = far.pids()["z"]
    finally:
        os.environ["XDG_STATE_HOME"] = home
    done = near.run("restart", "--swarm", near.name, "z")
    assert done.returncode == 0, done.stderr
    assert far.pids()["z"] != far_pid
    assert sorted(retained(real_broker.port, f"{near.name}/hosts")) == [
        f"{near.name}/hosts/far/status",
        f"{near.name}/hosts/near/status",
    ]
    os.environ["XDG_STATE_HOME"] = home + "-far"
    try:
        far.down()
    finally:
        os.environ["XDG_STATE_HOME"] = home
    assert retained(real_broker.port, f"{near.name}/hosts") == [f"{near.name}/hosts/near/status"]
    assert near.rows()["a"].state == "online"


def test_up_finishes_a_down_that_was_broken_off(make: Make, real_broker: RealBroker) -> None:
    swarm = make(real_broker.port, [sleeper("a")])
    swarm.up(fails=True, wait="0")
    first = swarm.await_row("a", lambda row: row.pid is not None).pid
    request_down(swarm.state, DownRequest(now=True))
    assert "finished first" in swarm.up(fails=True, wait="0")
    assert swarm.await_row("a", lambda row: row.pid is not None).pid != first
    assert [pane.pid for pane in swarm.panes().values()] == list(swarm.pids().values())


def test_up_names_agents_of_another_version_and_renews_the_supervisor(make: Make, real_broker: RealBroker) -> None:
    swarm = make(real_broker.port, [own("a"), light("b")])
    swarm.up()
    before, former = swarm.pids(), swarm.supervisor()
    assert "version" not in swarm.up()
    # As an older package would have left it: its supervisor wrote the file last, and its agent said so.
    swarm.kill(former, signal.SIGSTOP)
    saved = swarm.saved()
    saved.version = saved.units["a"].version = "0.0.1"
    state_file.save(swarm.state, saved)
    line = [sys.executable, "-m", "swarm_tui", "up", str(swarm.path), "--detach"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, cwd=swarm.folder) as process:
        until(lambda: "was of 0.0.1" in (process.stderr.readline() if process.stderr else ""), what="its word")
        swarm.kill(former, signal.SIGCONT)
        process.communicate(timeout=40)
    until(lambda: swarm.supervisor() != former, what="a supervisor of this version")
    until(lambda: len(swarm.pids()) == 2, what="its rows")
    assert swarm.pids() == before


def test_down_ends_what_no_supervisor_watches(make: Make, real_broker: RealBroker) -> None:
    swarm = make(real_broker.port, [sleeper("a")])
    swarm.up(fails=True, wait="0")
    swarm.await_row("a", lambda row: row.pid is not None)
    swarm.tmux.run("kill-window", "-t", f"={swarm.name}:agents")
    swarm.kill(swarm.tmux.panes()[0].server_pid)
    swarm.down("--now")
    assert swarm.processes() == []


def test_a_changed_broker_moves_everybody(make: Make, make_broker: Callable[..., RealBroker]) -> None:
    one, two = make_broker(), make_broker()
    swarm = make(one.port, [own("a"), light("b")])
    swarm.up()
    before = swarm.pids()
    assert f"{swarm.name}/agents/a/status" in retained(one.port, swarm.name)
    swarm.write(broker={"url": two.url})
    assert {"~ a", "~ b"} <= set(swarm.up().splitlines())
    assert not set(before.values()) & set(swarm.pids().values())
    assert f"{swarm.name}/hosts" in " ".join(retained(two.port, swarm.name))
    until(lambda: retained(one.port, swarm.name) == [], what="the former broker to be cleared")


def test_the_broker_of_ours_that_a_swarm_was_moved_from_ends(
    make: Make, free_port: int, real_broker: RealBroker
) -> None:
    swarm = make(free_port, [light("a")])
    swarm.up()
    pid = next(pane.pid for pane in swarm.tmux.panes() if pane.role == "broker")
    swarm.write(broker={"url": real_broker.url})
    swarm.up()
    until(lambda: not processes.is_alive(pid), 20, "the former broker to end")
    assert not listens(free_port)


def test_a_halt_outlives_down_and_up_and_only_a_person_lifts_it(make: Make, real_broker: RealBroker) -> None:
    swarm = make(real_broker.port, [own("boss", "task-manager")])
    swarm.up()
    assert swarm.run("halt", "bad release", "--swarm", swarm.name).returncode == 0
    until(lambda: "bad release" in swarm.run("status", swarm.name).stdout, what="the halt to be heard")
    swarm.down()
    assert retained(real_broker.port, swarm.name) == [f"{swarm.name}/halt"]
    swarm.up()
    until(lambda: "bad release" in swarm.run("status", swarm.name).stdout, what="the halt to stand")
    assert swarm.run("resume", "--swarm", swarm.name).returncode == 0
    until(lambda: "bad release" not in swarm.run("status", swarm.name).stdout, what="the halt to be lifted")
    swarm.run("halt", "again", "--swarm", swarm.name)
    swarm.down("--purge")
    assert retained(real_broker.port, swarm.name) == []
