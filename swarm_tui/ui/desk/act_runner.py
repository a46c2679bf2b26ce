"""Acts on their way: refused with a reason, asked about first, or run."""

from collections.abc import Callable

from swarm_tui.ui.desk.actions import Action
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.desk.question import Question

Ask = Callable[[Question, Callable[[], None]], None]
"""Asks a question, and calls back after a yes."""


class ActRunner:
    """Does the acts of one desk."""

    def __init__(self, desk: Desk, ask: Ask) -> None:
        self._desk = desk
        self._ask = ask

    def perform(self, action: Action, context: Context) -> None:
        """Say why not, ask first, or run it."""
        self._desk.notices.clear()
        reason = action.why_not(context)
        if reason is not None:
            self._desk.say(f"{self._desk.registry.told(action.name)}: {reason}", bad=True)
            return
        if action.confirm(context) is None:
            self._run(action, context)
        else:
            self._ask(Question(action, context), lambda: self._run(action, context))

    def _run(self, action: Action, context: Context) -> None:
        reason = action.why_not(context)
        if reason is not None:
            self._desk.say(reason, bad=True)
            return
        undo = self._desk.undo
        before = undo.last
        action.run(context)
        if action.writes and action.name != "undo" and undo.last is before:
            undo.passed()
        context.screen.renew_footer()
