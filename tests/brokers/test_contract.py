"""What every broker must carry: tasks, answers, status, presence; and what is said where one does not."""

from pathlib import Path

import pytest

from swarm_tui.bus.probe import probe
from swarm_tui.config.model import Broker
from tests.brokers.kinds import MOSQUITTO, Kind, mosquitto
from tests.brokers.swarm import WORKER, Eye, Swarm
from tests.conftest import pick_port
from tests.wait import until


@pytest.fixture(params=MOSQUITTO, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


def carries(kind: Kind, folder: Path) -> None:
    """The contract, one step after another on one broker and one swarm."""
    with kind.run(folder) as broker:
        tried = probe(broker)
        assert tried.ok, tried.reason
        swarm = Swarm(broker, folder)
        try:
            row = swarm.task()
            assert (row["state"], row["agent_id"], row["result"]["echo"]) == ("complete", WORKER, row["task_id"])
            late = Eye(broker, swarm.state)
            try:
                late.operator.look_round()
                until(
                    lambda: late.fleet.dispatcher is not None and late.state_of(WORKER) == "online",
                    what=f"who comes late to know who is there: {late.fleet.agents.keys()}",
                )
                assert late.operator.kept == kind.keeps
                # As a process that is killed: no farewell, so that the broker says the will.
                vanish(swarm)
                until(lambda: late.state_of(WORKER) == "offline", what="the will to be said")
                until(lambda: late.state_of(WORKER) == "online", what="its birth when it is back")
            finally:
                late.operator.close(0.2)
            assert swarm.task()["state"] == "complete"
            assert swarm.manager.leading
        finally:
            swarm.close()


def vanish(swarm: Swarm) -> None:
    client = swarm.worker_bus._client
    assert client is not None
    sock = client.socket()
    assert sock is not None
    raw = getattr(sock, "_socket", sock)
    raw.shutdown(2)


def test_what_a_broker_forgets_is_said_again(tmp_path: Path) -> None:
    """It is killed and keeps nothing: sessions, retained messages, what was queued."""
    port = pick_port()
    with mosquitto(tmp_path, port, "allow_anonymous true", "persistence false"):
        swarm = Swarm(Broker(url=f"mqtt://127.0.0.1:{port}"), tmp_path)
        swarm.task()
    try:
        until(lambda: not swarm.worker_bus.is_up(), what="the loss to be seen")
        with mosquitto(tmp_path, port, "allow_anonymous true", "persistence false"):
            until(swarm.worker_bus.is_up, limit=15, what="the worker to be back")
            assert swarm.task(limit=15)["state"] == "complete"
            late = Eye(swarm.broker, swarm.state)
            late.operator.look_round()
            until(lambda: late.fleet.dispatcher is not None and late.state_of(WORKER) == "online")
            late.operator.close(0.2)
    finally:
        swarm.close()


def test_it_carries_a_swarm(kind: Kind, tmp_path: Path) -> None:
    carries(kind, tmp_path)
