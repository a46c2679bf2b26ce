"""A swarm that is divided: which shard a command's work goes to, and what cannot be divided."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from swarm_tui.cli.common import Failure, any_shard, connect, target
from swarm_tui.cli.shards import for_run, for_task
from swarm_tui.cli.up import command as up
from swarm_tui.config.model import Broker
from swarm_tui.config.running import Running, save_running
from swarm_tui.protocol.bodies import Task
from swarm_tui.protocol.shards import By, choose, shard

BROKER = Broker(url="mqtt://127.0.0.1:29999")


def running(swarm: str, shards: int = 3, by: By = "id") -> None:
    """Note that the shard was brought up here."""
    made = Running(
        swarm=swarm, session="s", socket="s", layout_path="", broker=BROKER, host="here", version="1", started_at=0.0,
        shards=shards, shard_by=by,
    )  # fmt: skip
    save_running(made)


def test_a_task_goes_to_the_shard_of_its_name_whoever_publishes_it() -> None:
    running(shard("farm", 0))
    running(shard("farm", 1))
    for task_id in ("t-1", "t-2", "t-3", "t-4"):
        found = for_task(target("farm"), Task(task_id=task_id, type="noop"))
        assert found.swarm == shard("farm", choose(3, task_id))
        assert found.broker.url == BROKER.url  # Also of a shard that runs on another host.
        assert for_run(target("farm"), task_id).swarm == found.swarm


def test_a_broker_that_is_named_is_the_shards_too(monkeypatch: pytest.MonkeyPatch) -> None:
    running(shard("farm", 0))
    other, task_ids = "mqtt://127.0.0.1:29998", ("t-1", "t-2", "t-3", "t-4")
    tasks = [Task(task_id=task_id, type="noop") for task_id in task_ids]
    assert {for_task(target("farm", other), task, other).broker.url for task in tasks} == {other}
    assert {for_run(target("farm", other), task_id, other).broker.url for task_id in task_ids} == {other}
    monkeypatch.setenv("MQTT_BROKER", other)
    assert {for_task(target("farm"), task).broker.url for task in tasks} == {other}


def test_a_task_of_a_key_or_a_type_goes_where_all_of_it_go() -> None:
    running(shard("farm", 0))
    keyed = [Task(task_id=name, type="noop", idempotency_key="k") for name in ("a", "b", "c", "d")]
    assert len({for_task(target("farm"), task).swarm for task in keyed}) == 1
    running(shard("barn", 0), by="type")
    typed = [Task(task_id=name, type="testing.run") for name in ("a", "b", "c", "d")]
    assert {for_task(target("barn"), task).swarm for task in typed} == {shard("barn", choose(3, "testing.run"))}
    with pytest.raises(Failure, match="divided by type"):
        for_run(target("barn"), "r-1")


def test_what_is_for_one_agent_names_its_shard() -> None:
    running(shard("farm", 0))
    with pytest.raises(Failure, match="farm/_s/0"):
        for_task(target("farm"), Task(task_id="t", type="noop", assigned_to="a-1"))
    with pytest.raises(Failure, match="say which, such as --swarm farm/_s/0"):
        connect(target("farm"))


def test_a_whole_swarm_and_a_shard_that_is_named_stay_as_they_are() -> None:
    running(shard("farm", 2))
    named = target(shard("farm", 2))
    assert for_task(named, Task(task_id="t-2", type="noop")) is named
    running("farm", shards=0)
    assert any_shard(target("farm")) is None


def test_up_brings_a_shard_up_by_its_name_only(tmp_path: Path) -> None:
    path = tmp_path / "farm.yml"
    agents = [{"role": "task-manager", "id": "tm"}]
    path.write_text(yaml.safe_dump({"swarm": "farm", "policy": {"shards": 3}, "agents": agents}))
    for words, says in (([], "--swarm farm/_s/0"), (["--swarm", "farm/_s/3"], "beyond the last")):
        done = CliRunner().invoke(up, [str(path), "--dry-run", *words])
        assert isinstance(done.exception, Failure)
        assert says in str(done.exception)
    done = CliRunner().invoke(up, [str(path), "--dry-run", "--swarm", "farm/_s/2"])
    assert "farm/_s/2" in done.output
