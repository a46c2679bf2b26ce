"""Attach: the terminal becomes a pane, and the screen is as it was afterwards, whatever failed in between."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from swarm_tui.ui.context import Context

if TYPE_CHECKING:
    from swarm_tui.ui.app import SwarmApp


class Attaching:
    """Runs what tmux says turns this terminal into the pane."""

    def __init__(self, app: "SwarmApp") -> None:
        self._app = app

    def why_not(self, context: Context) -> str | None:
        """Why it cannot attach to the agent at hand."""
        agent = context.agent
        if agent is None:
            return "no agent is selected"
        if self._app.is_web:
            return "attach needs a terminal, and this is a browser"
        if self._app.local_pane(agent) is None and self._app.address_of(agent) is None:
            return ": ".join(self._app.why_no_pane(agent))
        return None

    def attach(self, context: Context) -> None:
        """Give the terminal away, and take it back."""
        agent = context.agent
        if agent is None:
            return
        pane, address = self._app.local_pane(agent), self._app.address_of(agent)
        panes, swarm, agent_id = self._app.source.panes, self._app.source.facts.swarm, agent.agent_id
        if pane is not None:
            problem = self._run(lambda: _status(panes.attach(pane)))
        elif address is not None:
            problem = self._run(lambda: panes.attach_far(address, swarm, agent_id))
        else:
            return
        self._app.refresh(layout=True)
        self._app.watch_panes(anew=True)
        context.say(problem or f"back from {agent.agent_id}", bad=problem is not None)

    def _run(self, call: Callable[[], str | None]) -> str | None:
        """Give the terminal away for `call`; why it failed, a sentence. Nothing may leave `suspend` by an exception."""
        problem: str | None = None
        try:
            with self._app.suspend():
                problem = _safely(call)
        except SuspendNotSupported:
            return "this terminal cannot be given away here"
        return problem


def _safely(call: Callable[[], str | None]) -> str | None:
    try:
        return call()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - inside `suspend` it would leave a dead screen
        return f"attach failed: {error or type(error).__name__}"


def _status(code: int) -> str | None:
    return None if code == 0 else f"attach ended with status {code}"
