"""What the dispatcher hears of what it said itself."""

import time

from swarm_tui.agent.roles.task_manager.dialect_bridge import DialectBridge
from swarm_tui.agent.roles.task_manager.subscription import ECHOES, Subscription
from swarm_tui.bus.memory import MemoryBroker, MemoryBus
from swarm_tui.config.model import Broker, RunSpec
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.envelope import Event, Outgoing
from swarm_tui.protocol.topics import Kind, topic
from tests.wait import until

SWARM = "s"


def test_the_echo_of_an_assignment_is_not_read_and_the_claim_of_another_is() -> None:
    spec = RunSpec(
        agent_id="tm", role="task-manager", swarm=SWARM, broker=Broker(url="mqtt://127.0.0.1:1"), host="box",
        workdir=".", state_dir=".",
    )  # fmt: skip
    ids = iter(range(10**6))
    writer = Writer(SWARM, "tm", "task-manager", new_id=lambda: f"m{next(ids)}", clock=time.time)
    heard: list[str] = []

    def put(item: object) -> None:
        if isinstance(item, Event) and isinstance(item.body, b.Assigned):
            heard.append(item.body.task_id)

    broker = MemoryBroker()
    ear, bus = (
        Subscription(spec, writer, DialectBridge(spec, new_id=lambda: "x", clock=time.time), put),
        MemoryBus(broker, "tm"),
    )
    ear.open(bus, [topic(SWARM, Kind.TASK_ASSIGNED)])
    until(bus.is_up)

    def assigned(name: str) -> Outgoing:
        return writer.message(Kind.TASK_ASSIGNED, b.Assigned(task_id=name, agent_id="w"))

    ours, theirs = assigned("ours"), assigned("theirs")
    ear.said(ours)
    bus.publish(ours)
    bus.publish(theirs)
    until(lambda: "theirs" in heard)
    assert heard == ["theirs"]
    # Its second coming is another's: a claim with the same bytes was not said by us twice.
    bus.publish(ours)
    until(lambda: heard == ["theirs", "ours"])
    for number in range(3 * ECHOES):
        ear.said(assigned(f"lost{number}"))
    assert len(ear._echoes) <= ECHOES
    bus.close()
