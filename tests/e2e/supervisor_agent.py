"""A light agent of another make for the supervisor's tests: it registers and beats, and knows nothing of swarm-tui.

Arguments: agent id, swarm, broker URL. With a file named like its id in $LIGHT_AGENT_FAULTS it exits at once with 3;
on SIGUSR2 it says nothing more and lives on. It beats every $LIGHT_AGENT_BEAT seconds, 0.3 by default. What the JSON
file $LIGHT_AGENT_STATUS holds, it says as its status.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import paho.mqtt.client as mqtt


def main() -> None:
    agent_id, swarm, url = sys.argv[1:4]
    signal.signal(signal.SIGUSR2, lambda number, frame: time.sleep(1e6))
    print(f"{agent_id} begins", flush=True)
    if (Path(os.environ.get("LIGHT_AGENT_FAULTS", "/nowhere")) / agent_id).exists():
        print("boom", flush=True)
        sys.exit(3)
    host, _, port = url.removeprefix("mqtt://").partition(":")
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"light-{agent_id}-{os.getpid()}")

    def say(topic: str, payload: dict[str, object]) -> None:
        client.publish(f"{swarm}/{topic}", json.dumps({"agent_id": agent_id, "payload": payload}), qos=0)

    def registered(*_: object) -> None:
        if path := os.environ.get("LIGHT_AGENT_STATUS"):
            status = json.loads(Path(path).read_text())
            say(f"agents/{agent_id}/status", {"status": "online", "pid": os.getpid(), **status})
        say("agents/register", {"agent_id": agent_id, "role": "general", "status": "online", "capabilities": []})

    client.on_connect = registered
    client.reconnect_delay_set(1, 1)
    client.connect_async(host, int(port))
    client.loop_start()
    while True:
        time.sleep(float(os.environ.get("LIGHT_AGENT_BEAT", "0.3")))
        say("agents/heartbeat", {"agent_id": agent_id, "status": "alive"})


if __name__ == "__main__":
    main()
