"""The agent's one way out: to its bus, to its pane, and to whoever waits for it to leave."""

import os
import threading
import time
from collections.abc import Callable

import msgspec

from swarm_tui.agent.console import Console
from swarm_tui.agent.presence_messages import PresenceMessages
from swarm_tui.agent.redact import Redactor
from swarm_tui.bus.port import Bus, OnAck
from swarm_tui.client.ids import new_id
from swarm_tui.config.model import RunSpec
from swarm_tui.identity.keyring import GUEST, Keyring
from swarm_tui.protocol.bodies import Assigned, Body
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.envelope import Outgoing, rfc3339
from swarm_tui.protocol.topics import Kind


class AgentReporter:
    """Speaks as the agent; it is what a role's service gets as its link. All methods are thread-safe."""

    def __init__(
        self,
        spec: RunSpec,
        me: PresenceMessages,
        bus: Bus,
        console: Console,
        *,
        take_over: bool = False,
        keys: Keyring = GUEST,
    ) -> None:
        self.swarm = spec.swarm
        self.bus = bus
        self.me = me
        self.incarnation = me.incarnation
        self.take_over = take_over
        self.writer = Writer(spec.swarm, me.agent_id, me.role, new_id=new_id, clock=time.time, prove=keys.prove)
        self.redact = Redactor(os.environ, [spec.broker.password])
        self.trouble = ""
        """Why the agent cannot do its role's part, for its retained status."""
        self.in_its_pane = ""
        """What a person should look at in the agent's pane, where a CLI has it."""
        self.outdated = ""
        """Why it should be started anew: the package on disk is another than the one that runs."""
        self.exit_code = 0
        self.reason = ""
        self.quietly = False
        """Leave without a farewell: the id belongs to another process."""
        self.leaving = threading.Event()
        self.hurry = threading.Event()
        """A second request to leave: wait for nothing."""
        self._console = console

    def publish(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        """Send, or keep in memory while the link is down."""
        self.bus.publish(message, on_ack)

    def say(
        self,
        kind: Kind,
        body: Body,
        key: str = "",
        *,
        message_id: str | None = None,
        sure: bool = False,
    ) -> None:
        """Publish a body as the agent; `sure` asks the broker to acknowledge what is else sent once."""
        if isinstance(body, Assigned) and body.claimed_at is None:
            body = msgspec.structs.replace(body, claimed_at=rfc3339(time.time()))
        message = self.writer.message(kind, body, key, message_id=message_id)
        self.bus.publish(msgspec.structs.replace(message, qos=1) if sure else message)

    def say_late(self, kind: Kind, body: Callable[[], Body | None]) -> None:
        """Publish what `body` gives in some milliseconds, or just before the next message; nothing for None."""
        self.bus.publish_late(lambda: None if (given := body()) is None else self.writer.message(kind, given))

    def complaints(self) -> str:
        """Return what its retained status says is wrong with it, a sentence or two; empty when nothing is."""
        return "; ".join(filter(None, (self.trouble, self.in_its_pane, self.outdated)))

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def log(self, line: str) -> None:
        """Print a line on the agent's pane, without secrets."""
        self._console.say(self.redact.text(line))

    def note(self, line: str, mark: str = "·") -> None:
        """Print a line of the agent's own, with its mark."""
        self._console.say(self.redact.text(line), mark)

    def leave(self, reason: str, exit_code: int = 1) -> None:
        """Have the agent shut down in order, say why, and exit with this code."""
        if not self.leaving.is_set():
            self.reason, self.exit_code = reason, exit_code
            self.leaving.set()
        else:
            self.hurry.set()
