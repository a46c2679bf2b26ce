"""The bar for AWS IoT Core: forty foreign agents and two thousand tasks within its limits, each task once."""

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.client.operator import Operator
from swarm_tui.config.paths import state_dir
from swarm_tui.identity.open import open_operator
from swarm_tui.protocol.bodies import Task
from tests.brokers.kinds import AWS
from tests.e2e.shell import Shell
from tests.faults.seed_agent import SeedAgent
from tests.wait import until

AGENTS, TASKS = 40, 2_000
CROWD = "from tests.brokers.test_aws_bar import crowd; crowd()"


def crowd() -> None:
    """Be all of the seed's agents, each with a connection of its own: SWARM PORT LOG ID…, until it is ended."""
    swarm, port, log, *names = sys.argv[1:]
    agents = [SeedAgent(name, f"{swarm}/_a/{name}", int(port), Path(log), 10.0) for name in names]
    for agent in agents:
        agent.client.loop_start()
    while True:
        time.sleep(10.0)
        for agent in agents:
            agent.publish("agents/heartbeat", {"status": "alive", "uptime": 1, "memory": {}})


@pytest.mark.drill
def test_forty_agents_and_two_thousand_tasks_stay_within_the_limits_of_aws(tmp_path: Path) -> None:
    shell, names = Shell(tmp_path), [f"seed-{number:02}" for number in range(1, AGENTS + 1)]
    log = tmp_path / "runs"
    log.touch()
    with AWS.run(tmp_path) as broker:
        entries = "".join(
            f"  - {{role: general, id: {name}, dialect: seed, command: [sleep, '100000'], handlers: {{noop: {{}}}}}}\n"
            for name in names
        )
        (tmp_path / "layouts").mkdir()
        (tmp_path / "layouts" / "forty.yml").write_text(
            f"swarm: forty\nbroker: {{url: '{broker.url}', profile: aws, embedded: never}}\nagents:\n"
            f"  - {{role: task-manager, id: boss}}\n{entries}"
        )
        port = broker.url.rpartition(":")[2]
        agents = subprocess.Popen([sys.executable, "-c", CROWD, "forty", port, str(log), *names])
        operator = None
        try:
            shell.ok("up", "forty", "--detach", "--wait", "120", limit=150)
            keys = open_operator(state_dir("forty"), "ada@home")
            operator = Operator(MqttBus(broker, "the-operator"), "forty", user="ada", host="home", keys=keys)
            operator.start()
            assert operator.wait_link(5.0).up
            began = time.monotonic()
            for number in range(TASKS):
                operator.submit(Task(task_id=f"t-{number}", type="noop"), accept_timeout=600.0)
            until(
                lambda: shell.json("status")["tasks"].get("complete") == TASKS,
                limit=900,
                what=f"all tasks to be recorded: {shell.json('status')['tasks']}",
            )
            took = time.monotonic() - began
        finally:
            if operator is not None:
                operator.close(0.5)
            agents.terminate()
            agents.wait(10)
            shell("down", "--now")
        # AWS.run itself fails when there was a breach.
    runs = Counter(log.read_text().split())
    assert set(runs.values()) == {1}, runs.most_common(3)
    assert len(runs) == TASKS
    most = json.loads((tmp_path / "report.json").read_text())["most"]
    print(f"{TASKS} tasks on {AGENTS} seed agents in {took:.0f} s; the most of each limit: {most}")
