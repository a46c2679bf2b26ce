"""An agent that knows only the SDK's dialect, `mqtt-v1`: `ID PREFIX PORT LOG HEARTBEAT`. It says in LOG what it runs.

It takes one task at a time and drops silently what comes meanwhile, and what it has seen; it never registers, and has
no will.
"""

import json
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

NEEDED = ("id", "type", "timestamp", "workspaceId")


class SdkAgent:
    """What the SDK's agent transport says and understands."""

    def __init__(self, agent_id: str, prefix: str, port: int, log: Path, heartbeat: float) -> None:
        self.agent_id, self.log, self.heartbeat = agent_id, log, heartbeat
        self.root = f"{prefix}/workspace/{agent_id}"
        self.began = time.monotonic()
        self.seen: set[str] = set()
        self.busy = False
        self.client = Client(CallbackAPIVersion.VERSION2, f"opencto-agent-{uuid.uuid4().hex[:12]}", clean_session=True)
        self.client.on_connect = lambda client, *_: client.subscribe(f"{self.root}/tasks/new", 1)
        self.client.on_message = self.on_message
        self.client.connect("127.0.0.1", port)

    def on_message(self, client: Client, userdata: Any, message: Any) -> None:
        envelope = json.loads(message.payload)
        valid = envelope.get("protocolVersion") == "mqtt-v1" and all(envelope.get(name) for name in NEEDED)
        key = envelope.get("idempotencyKey") or envelope.get("id")
        if not valid or envelope["type"] != "tasks.new" or key in self.seen or self.busy:
            return
        self.seen.add(key)
        self.busy = True
        task = envelope["payload"]
        with self.log.open("a") as file:
            file.write(f"{task['taskId']}\n")
        threading.Thread(target=self.execute, args=(task,), daemon=True).start()

    def execute(self, task: dict[str, Any]) -> None:
        about = {"taskId": task["taskId"]}
        context = {"correlationId": task["taskId"]}
        self.publish("tasks/assigned", {**about, "assignedAt": now(), "leaseMs": 300_000}, **context)
        time.sleep(task["input"].get("seconds", 0.0))
        event = {"runId": task["taskId"], "eventType": "step.completed", "level": "info", "message": "half"}
        self.publish("runs/events", {**event, "data": {"progress": 50}}, **context)
        self.busy = False
        if task["input"].get("fail"):
            error = {"code": "UPSTREAM_FAILURE", "message": "Provider timeout", "retryable": False}
            self.publish("tasks/failed", {**about, "failedAt": now(), "error": error}, **context)
        else:
            output = {"by": self.agent_id, "type": task["taskType"]}
            self.publish("tasks/complete", {**about, "completedAt": now(), "output": output}, **context)

    def publish(self, topic: str, payload: dict[str, Any], **context: str) -> None:
        envelope = {
            "id": str(uuid.uuid4()), "protocolVersion": "mqtt-v1", "timestamp": now(), "workspaceId": self.agent_id,
            "type": "runs.event" if topic == "runs/events" else topic.replace("/", "."), "agentId": self.agent_id,
            "payload": payload, **context,
        }  # fmt: skip
        self.client.publish(f"{self.root}/{topic}", json.dumps(envelope), 1)

    def run(self) -> None:
        self.client.loop_start()
        while True:
            beat = {"status": "alive", "role": "content", "uptimeSec": int(time.monotonic() - self.began)}
            self.publish("agents/heartbeat", beat)
            time.sleep(self.heartbeat)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    SdkAgent(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), float(sys.argv[5])).run()
