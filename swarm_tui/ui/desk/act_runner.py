"""Acts on their way: refused with a reason, asked about first, or run.

A question is about exactly those it was asked for, and only while they are what they were.
"""

from collections.abc import Callable

from swarm_tui.ui.desk.actions import Action
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.desk.desk import Desk


class Question:
    """An open question. `question` and `why_not` follow the state while the person thinks."""

    def __init__(self, action: Action, context: Context) -> None:
        self.action = action
        self.context = context
        self._incarnations = {agent.agent_id: agent.incarnation for agent in context.agents}
        self._tasks = [task.task_id for task in context.tasks]
        self._about = action.about(context)
        self._last = action.confirm(context) or ""

    @property
    def verb(self) -> str:
        """Return what yes does."""
        return self.action.yes(self.context) or self.action.label

    def question(self) -> str:
        """Return what is asked, as things stand."""
        if self.why_not() is None:
            self._last = self.action.confirm(self.context) or self._last
        return self._last

    def why_not(self) -> str | None:
        """Return why it is not to be done any more; None while it is."""
        return self._gone() or self.action.why_not(self.context) or self._another()

    def _gone(self) -> str | None:
        fleet = self.context.model.fleet
        if self.action.group == "tasks":
            lost = next((task_id for task_id in self._tasks if task_id not in fleet.tasks), None)
            return f"{lost} is gone" if lost else None
        if self.action.group != "agents":
            return None
        for agent_id, incarnation in self._incarnations.items():
            agent = fleet.agents.get(agent_id)
            if agent is None:
                return f"{agent_id} is gone"
            if self.action.of_incarnation and agent.incarnation != incarnation:
                return f"{agent_id} was started again while this stood here: look at it, and ask anew"
        return None

    def _another(self) -> str | None:
        if self.action.about(self.context) == self._about:
            return None
        return "that changed while this stood here: look at it, and ask anew"


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
            self._run(action, context, reason)
            return
        question = Question(action, context)
        self._ask(question, lambda: self._run(action, context, question.why_not()))

    def _run(self, action: Action, context: Context, reason: str | None) -> None:
        if reason is not None:
            self._desk.say(reason, bad=True)
            return
        undo = self._desk.undo
        before = undo.last
        action.run(context)
        if action.writes and action.name != "undo" and undo.last is before:
            undo.passed()
        context.screen.renew_footer()
