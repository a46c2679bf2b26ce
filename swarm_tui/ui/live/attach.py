"""Attach: the terminal becomes a pane, and the screen is as it was afterwards, whatever failed in between."""

import threading
from collections.abc import Callable
from typing import Any, Protocol

from textual.app import App, SuspendNotSupported

from swarm_tui.domain.views import AgentView
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.look.text import clock
from swarm_tui.ui.model.model import Delta

POLL = 0.1
"""Seconds between two looks at what came meanwhile."""


class KeepsUp(Protocol):
    """The update loop, as attaching needs it."""

    def keep_up(self, changed: Delta) -> None:
        """Fold what came, and note it in `changed`."""
        ...

    def show_changes(self, delta: Delta) -> None:
        """Draw what changed."""
        ...


class Attach:
    """Runs what tmux says turns this terminal into the pane."""

    def __init__(self, app: App[Any], desk: Desk, updates: KeepsUp) -> None:
        self._app = app
        self._desk = desk
        self._updates = updates

    def why_not(self, agent: AgentView | None) -> str | None:
        """Return why it cannot attach to the agent; None when it can."""
        if agent is None:
            return "no agent is selected"
        if self._app.is_web:
            return "attach needs a terminal, and this is a browser"
        if (moment := self._desk.model.moment) is not None:
            return f"this is how it was at {clock(moment.at)}: {self._desk.registry.told('now')} goes back to now"
        panes = self._desk.panes
        if panes.local_pane(agent) is None and panes.address_of(agent) is None:
            return ": ".join(panes.why_no_pane(agent))
        return None

    def attach(self, agent: AgentView) -> None:
        """Give the terminal away, and take it back."""
        pane, address = self._desk.panes.local_pane(agent), self._desk.panes.address_of(agent)
        panes, swarm, agent_id = self._desk.source.panes, self._desk.source.facts.swarm, agent.agent_id
        if pane is not None:
            problem = self._run(lambda: _status(panes.attach(pane)))
        elif address is not None:
            problem = self._run(lambda: panes.attach_far(address, swarm, agent_id))
        else:
            return
        self._app.refresh(layout=True)
        self._desk.panes.watch(anew=True)
        self._desk.say(problem or f"back from {agent.agent_id}", bad=problem is not None)

    def _run(self, call: Callable[[], str | None]) -> str | None:
        """Give the terminal away for `call`; why it failed, a sentence. Nothing may leave `suspend` by an exception."""
        outcome: list[str | None] = []
        failed: str | None = None
        waiter = threading.Thread(target=lambda: outcome.append(_safely(call)), name="attach", daemon=True)
        changed = Delta()
        try:
            with self._app.suspend():
                waiter.start()
                while waiter.is_alive():
                    failed = self._wait(waiter, changed) or failed
        except SuspendNotSupported:
            return "this terminal cannot be given away here"
        self._updates.show_changes(changed)
        return (outcome[0] if outcome else "attach failed") or failed

    def _wait(self, waiter: threading.Thread, changed: Delta) -> str | None:
        """Take in for a moment what comes, so that it does not pile up; return why it was not, a sentence."""
        try:
            waiter.join(POLL)
            self._updates.keep_up(changed)
        except KeyboardInterrupt:
            return None
        except Exception as error:  # noqa: BLE001 - inside `suspend` it would leave a dead screen
            return f"not all that came meanwhile was taken in: {error or type(error).__name__}"
        return None


def _safely(call: Callable[[], str | None]) -> str | None:
    try:
        return call()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - inside `suspend` it would leave a dead screen
        return f"attach failed: {error or type(error).__name__}"


def _status(code: int) -> str | None:
    return None if code == 0 else f"attach ended with status {code}"
