"""Where a swarm is started does not matter, or `up` says at once what is in the way."""

import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_tui.broker.mosquitto import EmbeddedBroker
from swarm_tui.config.paths import broker_dir
from swarm_tui.supervisor import processes
from swarm_tui.supervisor.broker_pane import listens
from swarm_tui.supervisor.host_access import find_supervisor
from tests.conftest import RealBroker, pick_port
from tests.e2e.supervised_swarm import Swarm, light, own
from tests.wait import until

Make = Callable[..., Swarm]


def test_a_project_with_files_named_as_ours_stops_nobody(make: Make, real_broker: RealBroker) -> None:
    swarm = make(real_broker.port, [own("boss", "task-manager"), own("a"), light("b")])
    for name in ("queue", "types", "select"):
        (swarm.folder / f"{name}.py").write_text("raise SystemExit('the project ran inside of us')")
    (swarm.folder / "swarm_tui").mkdir()
    (swarm.folder / "swarm_tui" / "__init__.py").touch()
    swarm.up()
    assert {row.state for name, row in swarm.rows().items() if name != "b"} == {"online"}


def test_up_ends_with_the_words_of_a_broker_that_does_not_start(make: Make, free_port: int) -> None:
    broker = EmbeddedBroker(free_port, broker_dir(free_port))
    broker.pid_file.mkdir(parents=True)
    swarm = make(free_port, [own("a")])
    began = time.monotonic()
    said = swarm.up(fails=True, wait="60")
    assert time.monotonic() - began < 30
    assert f"mosquitto on port {free_port} does not start" in said
    assert "pid" in said.partition("does not start")[2].partition(";")[0], "the broker's own words"
    assert "Traceback" not in said
    swarm.down("--now")


def test_a_brokers_database_that_a_full_disk_cut_short_is_put_aside(make: Make, free_port: int) -> None:
    broker = EmbeddedBroker(free_port, broker_dir(free_port))
    broker.folder.mkdir(parents=True)
    broker.database.write_bytes(b"cut short")
    swarm = make(free_port, [own("a")])
    swarm.up()
    assert broker.database.with_name("mosquitto.db.damaged").read_bytes() == b"cut short"
    assert any("put aside" in str(event["reason"]) for event in swarm.events("broker"))


def test_up_ends_where_the_brokers_rules_keep_us_out(
    make: Make, make_broker: Callable[..., RealBroker], tmp_path: Path
) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite elsewhere/#\n")
    rules.chmod(0o600)
    broker = make_broker(extra=f"acl_file {rules}")
    swarm = make(broker.port, [light("a")])
    began = time.monotonic()
    said = swarm.up(fails=True, wait="60")
    assert time.monotonic() - began < 30
    assert f"allow `{swarm.name}/#` to clients without a user name in the broker's ACL" in said


def test_a_broker_spelt_another_way_is_no_other(make: Make, free_port: int) -> None:
    swarm = make(free_port, [own("boss", "task-manager"), own("a")], broker={"url": f"mqtt://localhost:{free_port}"})
    swarm.up()
    first = swarm.supervisor()
    swarm.write(broker={"url": f"mqtt://127.0.0.1:{free_port}"})
    swarm.up()
    assert swarm.supervisor() != first

    def leads() -> bool:
        shown = json.loads(swarm.run("status", "--swarm", swarm.name, "--json").stdout)
        return (shown["dispatcher"] or {}).get("agent_id") == "boss"

    until(leads, what="a dispatcher")
    assert not any("cleared" in str(event["reason"]) for event in swarm.events("change"))


def test_another_name_of_the_broker_clears_nothing_of_it(make: Make, make_broker: Callable[..., RealBroker]) -> None:
    """No rule knows all names of a broker: what it retains tells that it is the same."""
    other = pick_port()
    broker = make_broker(extra=f"listener {other} 127.0.0.1")
    swarm = make(broker.port, [own("a")])
    swarm.up()
    swarm.write(broker={"url": f"mqtt://127.0.0.1:{other}"})
    swarm.up()
    until(lambda: swarm.saved().former is None, what="the former broker is looked at")
    assert any("is the same broker" in str(event["reason"]) for event in swarm.events("change"))


def test_down_now_ends_a_swarm_whose_supervisor_stands_still(make: Make, free_port: int) -> None:
    swarm = make(free_port, [own("boss", "task-manager"), light("a")])
    swarm.up()
    pid = swarm.supervisor()
    swarm.kill(pid, signal.SIGSTOP)
    until(lambda: processes.is_stopped(pid))
    for command in ("status", "doctor"):
        done = swarm.run(command, "--swarm", swarm.name)
        assert f"kill -CONT {pid}" in done.stdout + done.stderr, command
    began = time.monotonic()
    assert "it is told to go on" in swarm.down("--now")
    assert time.monotonic() - began < 15
    assert swarm.processes() == []
    assert not listens(free_port)


def test_down_now_does_without_a_supervisor_that_does_nothing(make: Make, free_port: int) -> None:
    """Stopped as often as it is told to go on, it can do nothing, as one that is stuck."""
    swarm = make(free_port, [own("boss", "task-manager"), light("a")])
    swarm.up()
    swarm.kill(swarm.supervisor(), signal.SIGUSR2)
    done = threading.Event()

    def stop() -> None:
        while not done.wait(0.005):
            if (found := find_supervisor(swarm.state)) is not None:
                processes.signal_one(*found, signal.SIGSTOP)

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        began = time.monotonic()
        swarm.down("--now")
        took = time.monotonic() - began
    finally:
        done.set()
        thread.join()
    assert took < 20, "15 s and what a busy machine takes"
    assert swarm.processes() == []
    assert not listens(free_port)
    assert swarm.run("down", swarm.name).returncode == 4


def test_what_ran_away_from_an_agent_ends_with_it(make: Make, real_broker: RealBroker) -> None:
    away = "setsid sh -c 'echo $$ > {}; exec sleep 100123' & exec sleep 100000"
    first, second = Path("a.pid"), Path("b.pid")
    swarm = make(
        real_broker.port,
        [
            {"role": "general", "id": "a", "command": ["sh", "-c", away.format(first)]},
            {"role": "general", "id": "b", "command": ["sh", "-c", away.format(second)]},
        ],
    )
    swarm.run("up", str(swarm.path), "--detach", "--wait", "1")

    def left(name: Path) -> int:
        text = (swarm.folder / name).read_text() if (swarm.folder / name).exists() else ""
        return int(text) if text.strip() else 0

    pids = {name: until(lambda name=name: left(name), what="one that runs away") for name in (first, second)}  # type: ignore[misc]
    assert all(processes.is_alive(pid) for pid in pids.values())
    swarm.kill(swarm.pids()["a"])
    until(lambda: not processes.is_alive(pids[first]), what="the end of what ran away from a")
    assert processes.is_alive(pids[second])
    swarm.down("--now")
    assert not processes.is_alive(pids[second])
    assert not processes.is_alive(left(first)), "what the next one of a left"


def test_a_users_own_tmux_keeps_a_swarm_under_any_name(
    make: Make, free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".tmux.conf").write_text("set -g destroy-unattached on\nset -s exit-unattached on\n")
    monkeypatch.setenv("HOME", str(home))
    # The default server of this test's own TMUX_TMPDIR.
    swarm = make(free_port, [own("boss", "task-manager"), own("a")], socket="default")
    swarm.socket = f"none-{swarm.name}"
    swarm.up()
    panes = {name: pane.pane_id for name, pane in swarm.panes().items()}
    swarm.tmux.run("rename-session", "-t", f"={swarm.name}", "mine now")
    swarm.kill(swarm.pids()["a"])
    assert swarm.await_row("a", lambda row: row.restarts == 1 and row.state == "online").pane_id == panes["a"]
    swarm.kill(swarm.supervisor())
    swarm.write(agents=[own("boss", "task-manager"), own("a"), own("b")])
    assert "goes on: 3 agents" in swarm.up()
    assert {pane.session_id for pane in swarm.tmux.panes()} == {swarm.panes()["boss"].session_id}
    swarm.down("--now")
    until(lambda: not swarm.tmux.panes(), what="the end of its session")
    assert swarm.processes() == []
