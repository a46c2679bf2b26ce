"""Attach: the terminal becomes a pane, and the screen is as it was afterwards, whatever failed in between."""

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
        if self._app.local_pane(agent) is None:
            return ": ".join(self._app.why_no_pane(agent))
        return None

    def attach(self, context: Context) -> None:
        """Give the terminal away, and take it back."""
        agent = context.agent
        pane = self._app.local_pane(agent) if agent is not None else None
        if agent is None or pane is None:
            return
        problem = self._run(pane)
        self._app.refresh(layout=True)
        self._app.watch_panes(anew=True)
        context.say(problem or f"back from {agent.agent_id}", bad=problem is not None)

    def _run(self, pane: str) -> str | None:
        """Give the terminal to the pane; why it failed, as a sentence. Nothing may leave `suspend` by an exception."""
        problem: str | None = None
        try:
            with self._app.suspend():
                problem = self._call(pane)
        except SuspendNotSupported:
            return "this terminal cannot be given away here"
        return problem

    def _call(self, pane: str) -> str | None:
        try:
            code = self._app.source.panes.attach(pane)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - inside `suspend` it would leave a dead screen
            return f"attach failed: {error or type(error).__name__}"
        return None if code == 0 else f"attach ended with status {code}"
