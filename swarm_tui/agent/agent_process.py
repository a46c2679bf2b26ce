"""The frame of an agent's life: its lock, its banner, its signals, its last words."""

import gc
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from swarm_tui.agent.attempt_output import keep_prints
from swarm_tui.agent.console import Console
from swarm_tui.agent.lock import take
from swarm_tui.agent.runtime import AgentRuntime
from swarm_tui.agent.settings import AgentSettings
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.config.model import RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.config.urls import shown_url
from swarm_tui.identity.account import broker_of_agent
from swarm_tui.identity.open import open_agent
from swarm_tui.protocol.client_ids import client_id


def live(settings: AgentSettings, *, take_over: bool = False) -> int:
    """Take the id, run until told to leave; the exit code. Raises HeldError, BusError or OSError."""
    spec = settings.spec
    held = take(StateDir(Path(spec.state_dir)).lock(spec.agent_id), spec.agent_id)
    # The bus's thread hands work to the loop's and goes on; with the default of 5 ms the work would wait for it.
    sys.setswitchinterval(0.0005)
    # Nearly all that an agent makes dies by its count; to walk what it had imported, again and again, cost it a tenth.
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    console = Console()
    keep_prints()
    try:
        _banner(console, settings)
        way = broker_of_agent(spec.broker, spec.state_dir, spec.agent_id)
        bus = MqttBus(way, client_id(spec.swarm, spec.agent_id))
        keys = open_agent(spec.state_dir, spec.agent_id)
        agent = AgentRuntime(spec, bus, console, take_over=take_over, keys=keys)
        _catch_signals(agent, console)
        code = agent.run()
        if agent.reporter.reason and code:
            console.say(agent.reporter.reason, "❌")
        return code
    finally:
        console.close()
        os.close(held)


def _banner(console: Console, settings: AgentSettings) -> None:
    spec = settings.spec
    console.say("Starting MQTT agent mode...", "🔌")
    for note in settings.notes:
        console.say(note, "⚠")
    if spec.broker.tls.insecure:
        console.say("the broker's certificate is not checked", "⚠")
    console.say(f"Agent started: {spec.agent_id}", "✅")
    for name, value in (("Role", spec.role), ("Swarm", spec.swarm), ("Broker", _place(spec))):
        console.say(f"   {name}: {value}")
    console.say("")
    console.say("Listening for tasks...", "📡")
    console.say("")


def _place(spec: RunSpec) -> str:
    return shown_url(spec.broker.url)


def _catch_signals(agent: AgentRuntime, console: Console) -> None:
    asked: queue.SimpleQueue[int] = queue.SimpleQueue()

    def heed() -> None:
        while number := asked.get():
            if number == signal.SIGINT and sys.stdin.isatty() and agent.person.interrupt(time.monotonic()):
                continue
            if not agent.reporter.leaving.is_set():
                console.say("Shutting down gracefully...", "👋")
            agent.reporter.leave("graceful", 0)

    def note(number: int, frame: FrameType | None) -> None:
        # A handler may interrupt the main thread inside of any lock: it takes none itself.
        asked.put(number)

    threading.Thread(target=heed, name="signals", daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note)
