"""Carries a role's service: its ticks on a thread of their own, and nothing that it raises reaches the agent."""

import threading
import time
from collections.abc import Callable

from swarm_tui.agent.agent_reporter import AgentReporter
from swarm_tui.agent.roles.port import RoleLink, RoleService, service_for
from swarm_tui.bus.port import Link
from swarm_tui.config.model import RunSpec
from swarm_tui.protocol.envelope import Event, Rejected

MakeService = Callable[[RunSpec, RoleLink], RoleService]
TICK_EVERY = 1.0
MENDED = 60.0
"""Seconds without a failure after which what failed is no longer told."""


class RoleThread:
    """The service of the agent's role, if that role has one. `changed` hears when its trouble is another.

    `make` makes the service instead of the role's own class.
    """

    def __init__(
        self,
        spec: RunSpec,
        reporter: AgentReporter,
        changed: Callable[[], None],
        make: MakeService | None = None,
    ) -> None:
        self._reporter = reporter
        self._changed = changed
        factory = make or service_for(spec.role)
        self._service: RoleService | None = factory(spec, reporter) if factory is not None else None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="role", daemon=True)
        self._failed = ""
        self._failed_at = 0.0

    @property
    def present(self) -> bool:
        """Return whether there is a service, which hears everything."""
        return self._service is not None

    def start(self) -> None:
        """Begin the service; what it raises here ends the agent."""
        if self._service is not None:
            self._service.start()
            self._tell()
            self._thread.start()

    def on_event(self, event: Event | Rejected) -> None:
        if self._service is not None:
            service = self._service
            self._guard(lambda: service.on_event(event))

    def on_link(self, link: Link) -> None:
        if self._service is not None:
            service = self._service
            self._guard(lambda: service.on_link(link))

    def close(self) -> None:
        """End the ticks, then the service."""
        if self._service is not None:
            self._stop.set()
            if self._thread.ident is not None:
                self._thread.join(5.0)
            self._guard(self._service.close)

    def _run(self) -> None:
        service = self._service
        while service is not None and not self._stop.wait(TICK_EVERY):
            self._guard(lambda: service.tick(time.time()))
            self._tell()

    def _tell(self) -> None:
        """Let the retained status say what the service lacks."""
        if self._failed and time.monotonic() - self._failed_at > MENDED:
            self._failed = ""
        failed = f"the {self._reporter.me.role} service failed: {self._failed}" if self._failed else ""
        trouble = self._reporter.redact.text(failed or (self._service.complaint if self._service is not None else ""))
        if trouble != self._reporter.trouble:
            self._reporter.trouble = trouble
            self._changed()

    def _guard(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - a fault of the role must not take the agent's presence with it
            text, self._failed_at = f"{type(error).__name__}: {error}", time.monotonic()
            if text != self._failed:
                self._failed = text
                self._reporter.note(f"the role's service failed: {text}", "❌")
