"""What every broker must carry: tasks, answers, status, presence; and what is said where one does not."""

import json
import time
from pathlib import Path

import pytest

from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.probe import probe
from swarm_tui.bus.session import retained
from swarm_tui.client.ids import new_id
from swarm_tui.config.model import Broker
from swarm_tui.domain.dispatch import retained_topics
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.client_ids import Client, client_id_of
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.topics import Kind as Said
from swarm_tui.protocol.topics import topic
from tests.brokers.kinds import AWS, MOSQUITTO, SWARM, Kind, mosquitto
from tests.brokers.others import OTHERS
from tests.brokers.swarm import MANAGER, WORKER, Eye, Swarm
from tests.conftest import pick_port
from tests.e2e.shell import Shell
from tests.wait import until

#: Seconds within which all is known that somebody says when asked; the next heartbeat tells it after ten.
AT_ONCE = 6.0
#: The lines of `doctor` that are about the broker's features.
DOCTORS = ("ping-pong", "retained", "will", "large message", "names", "offline queue")


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
            row = swarm.task(AT_ONCE)
            assert (row["state"], row["agent_id"], row["result"]["echo"]) == ("complete", WORKER, row["task_id"])
            late = Eye(broker, swarm.state)
            try:
                late.operator.look_round()
                until(
                    lambda: late.fleet.dispatcher is not None and late.state_of(WORKER) == "online",
                    limit=AT_ONCE,
                    what=f"who comes late to know who is there: {late.fleet.agents.keys()}",
                )
                assert late.operator.kept == kind.keeps
                assert late.operator.refused == 0, "who comes late refuses nothing of the swarm's own"
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


#: What a stranger leaves, each on a topic that a broker retains; of the worker that is there, and of nobody who is.
FORGED: list[tuple[Said, str, b.Body]] = [
    (Said.HALT, "", b.Halt(reason="evil")),
    (Said.STATUS, WORKER, b.Status(status="online", role="evil", incarnation="evil", capacity=9)),
    (Said.STATUS, MANAGER, b.Status(status="online", role="evil", incarnation="evil", capacity=9)),
    (Said.HOST_STATUS, "ghost", b.HostStatus(session="evil")),
    (Said.SCALE, "ghost", b.Scale(desired=9, reason="evil")),
    (Said.DISPATCHER, "", b.Dispatcher(instance="evil/1", epoch=9, online=True)),
]


def mends(kind: Kind, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stranger left on the swarm's own retained topics is said again, or emptied, by the dispatcher."""
    for each in retained_topics.GRACE:
        monkeypatch.setitem(retained_topics.GRACE, each, 0.5)
    with kind.run(folder) as broker:
        swarm = Swarm(broker, folder)
        mallory = MqttBus(broker, client_id_of(Client.OPERATOR, SWARM, unique="e" * 12))
        try:
            swarm.task()
            mallory.start(lambda *_: None, lambda link: None)
            until(mallory.is_up, what="the stranger's link")
            writer = Writer(SWARM, "mallory", "general", new_id=new_id, clock=time.time)
            for said, key, body in FORGED:
                mallory.publish(writer.message(said, body, key))
            until(lambda: swarm.manager.shell and swarm.manager.shell.refusals.counts, what="it to be refused")

            def evil() -> list[str]:
                found = ((topic(SWARM, said, key), body) for said, key, body in FORGED)
                return [full for full, _ in found if b"evil" in (retained(broker, full) or b"")]

            until(lambda: not evil(), limit=15, what=f"the topics to be put right; {swarm.link.lines[-5:]}")
            assert b'"proof"' in (retained(broker, topic(SWARM, Said.STATUS, WORKER)) or b"")
            assert swarm.task()["state"] == "complete"
            assert swarm.manager.leading
        finally:
            mallory.close(0.2)
            swarm.close()


def test_what_is_forged_stays_on_no_topic_of_a_real_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mends(MOSQUITTO[0], tmp_path, monkeypatch)


@pytest.mark.drill
@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.name)
def test_what_is_forged_stays_on_no_topic_of_others(
    other: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mends(other, tmp_path, monkeypatch)


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


@pytest.mark.drill
@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.name)
def test_brokers_of_others_carry_a_swarm(other: Kind, tmp_path: Path) -> None:
    carries(other, tmp_path)


@pytest.mark.drill
@pytest.mark.parametrize("other", [*OTHERS, AWS], ids=lambda other: other.name)
def test_a_whole_swarm_lives_on_brokers_of_others(other: Kind, tmp_path: Path) -> None:
    """Its processes, from `up` to `down`; what the broker lacks is what `doctor` warns of, and nothing is bad."""
    shell = Shell(tmp_path)
    with other.run(tmp_path) as broker:
        (tmp_path / "layouts").mkdir()
        said = f"{{url: '{broker.url}', profile: {broker.profile}, embedded: never}}"
        (tmp_path / "layouts" / "there.yml").write_text(
            f"swarm: there\nbroker: {said}\nagents:\n  - {{role: task-manager, id: boss}}\n"
            "  - {role: monitoring, id: eye}\n  - {role: general, id: worker, handlers: {noop: {}}}\n"
        )
        try:
            shell.ok("up", "there", "--detach")
            shell.ok("publish", "noop", "--wait", limit=40)
            status = shell.json("status")
            assert {a["agent_id"]: a["state"] for a in status["agents"]} == dict.fromkeys(
                ("boss", "eye", "worker"), "online"
            ), status
            assert status["dispatcher"] is not None
            assert len(status["hosts"]) == 1
            assert "noop" in shell.ok("logs", "worker")
            assert "is halted" in shell.ok("halt", "enough")
            assert shell.json("status")["halted"] == "enough"
            assert "goes on" in shell.ok("resume")
            shell.ok("restart", "boss")
            shell.ok("publish", "noop", "--wait", limit=60)
            found = json.loads(shell("doctor", "--json").stdout)["findings"]
            mine = {one["name"]: one["level"] for one in found if one["name"] in DOCTORS}
            assert {name for name, level in mine.items() if level == "warn"} == other.lacks, found
            assert "bad" not in mine.values(), found
        finally:
            shell("down", "--now")
