"""An agent that knows only the seed, as the seed writes it: `ID SWARM PORT LOG HEARTBEAT`. It says in LOG what it runs,
and a heartbeat each HEARTBEAT seconds; the seed's own take 10.

It claims whatever it hears while it has nothing, skips what it hears while it works, and knows of no lease and no ack.
"""

import json
import os
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

#: When this process began, in seconds since the machine's start.
BEGAN = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")


class SeedAgent:
    """`MQTTClient` and `TaskHandler` of the seed in one."""

    def __init__(self, agent_id: str, swarm: str, port: int, log: Path, heartbeat: float) -> None:
        self.agent_id, self.swarm, self.log, self.heartbeat = agent_id, swarm, log, heartbeat
        self.current: str | None = None
        self.client = Client(CallbackAPIVersion.VERSION2, f"seed-{agent_id}", clean_session=True)
        self.client.on_connect = self.on_connect
        self.client.on_message = self.on_message
        self.client.connect("127.0.0.1", port)

    def on_connect(self, client: Client, *_: Any) -> None:
        for topic in ("tasks/new", "tasks/assigned", "agents/+/status"):
            client.subscribe(f"{self.swarm}/{topic}")
        self.publish("agents/register", {"agent_id": self.agent_id, "status": "online", "capabilities": ["noop"]})

    def on_message(self, client: Client, userdata: Any, message: Any) -> None:
        if not message.topic.endswith("/tasks/new") or self.current is not None:
            return
        task = json.loads(message.payload)["payload"]
        self.current = task["task_id"]
        with self.log.open("a") as file:
            file.write(f"{self.current}\n")
        claim = {"task_id": self.current, "agent_id": self.agent_id, "claimed_at": datetime.now(UTC).isoformat()}
        self.publish("tasks/assigned", claim)
        threading.Thread(target=self.execute, args=(task,), daemon=True).start()

    def execute(self, task: dict[str, Any]) -> None:
        time.sleep(task["payload"].get("seconds", 0.0))
        answer = {"task_id": task["task_id"], "agent_id": self.agent_id, "status": "success", "result": {"done": True}}
        self.current = None
        self.publish("tasks/complete", answer)

    def publish(self, topic: str, payload: dict[str, Any]) -> None:
        body = {
            "id": str(uuid.uuid4()), "timestamp": datetime.now(UTC).isoformat(), "agent_id": self.agent_id,
            "payload": payload,
        }  # fmt: skip
        self.client.publish(f"{self.swarm}/{topic}", json.dumps(body))

    def run(self) -> None:
        self.client.loop_start()
        while True:
            time.sleep(self.heartbeat)
            # As the seed's `process.uptime()`: since the process began, not since it could speak.
            uptime = time.clock_gettime(time.CLOCK_BOOTTIME) - BEGAN
            self.publish("agents/heartbeat", {"status": "alive", "uptime": uptime, "memory": {}})


if __name__ == "__main__":
    SeedAgent(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), float(sys.argv[5])).run()
