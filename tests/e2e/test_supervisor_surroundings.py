"""Where a swarm is started does not matter, or `up` says at once what is in the way."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from swarm_tui.broker.mosquitto import EmbeddedBroker
from swarm_tui.config.paths import broker_dir
from tests.conftest import RealBroker, pick_port
from tests.e2e.supervisor_ground import Swarm, light, own
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
