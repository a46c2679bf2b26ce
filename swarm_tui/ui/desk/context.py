"""Context of an act: the screen, what has focus, and the agents and tasks it would touch."""

from collections.abc import Sequence

from swarm_tui.domain.views import AgentView, TaskView
from swarm_tui.ui.desk.capabilities import HasAgents, HasTasks, Markable
from swarm_tui.ui.desk.desk import Desk, ListPort, ScreenPort
from swarm_tui.ui.model.model import Model


class Context:
    """Made for one key press. Whom it is about is settled once: a list that moves under a question changes nothing."""

    def __init__(self, desk: Desk, screen: ScreenPort) -> None:
        self.desk = desk
        self.screen = screen
        self._agent_ids: list[str] | None = None
        self._task_ids: list[str] | None = None
        self._selected_agent: str | None = None
        self._hidden: int | None = None

    @property
    def scope(self) -> str:
        """Return where the user is: a panel, a page, a dialog."""
        return self.screen.scope

    @property
    def model(self) -> Model:
        """Return the facts that the screen shows."""
        return self.desk.model

    @property
    def read_only(self) -> bool:
        """Tell whether acts that write are off."""
        return self.desk.read_only

    @property
    def lines(self) -> ListPort | None:
        """Return the list that the movement keys move."""
        return self.screen.lines

    @property
    def agents(self) -> list[AgentView]:
        """Return the marked agents, or the one at hand."""
        known = self.model.fleet.agents
        if self._agent_ids is None:
            self._agent_ids = list(self.screen.agent_ids()) if isinstance(self.screen, HasAgents) else []
        return [known[name] for name in self._agent_ids if name in known]

    @property
    def tasks(self) -> list[TaskView]:
        """Return the marked tasks, or the one at hand."""
        known = self.model.fleet.tasks
        if self._task_ids is None:
            self._task_ids = list(self.screen.task_ids()) if isinstance(self.screen, HasTasks) else []
        return [known[name] for name in self._task_ids if name in known]

    @property
    def agent(self) -> AgentView | None:
        """Return the one agent at hand, whatever is marked: for acts that take no more than one."""
        if self._selected_agent is None and isinstance(self.screen, HasAgents):
            self._selected_agent = self.screen.selected_agent()
        return self.model.agent(self._selected_agent)

    @property
    def task(self) -> TaskView | None:
        """Return the first of the tasks at hand."""
        return next(iter(self.tasks), None)

    @property
    def hidden(self) -> int:
        """Count the marked that do not show: an act on the marked must not take, or leave out, what nobody sees."""
        if self._hidden is None:
            self._hidden = self.screen.hidden() if isinstance(self.screen, Markable) else 0
        return self._hidden

    def unmark(self) -> None:
        """Take the marks away: the act took the marked ones."""
        if isinstance(self.screen, Markable):
            self.screen.unmark()

    def say(self, text: str, *, bad: bool = False) -> None:
        """Tell the user, in a line."""
        self.desk.say(text, bad=bad)


class Named(Context):
    """About exactly those whose ids were typed, wherever the cursor stands and whatever is marked or filtered."""

    def __init__(self, desk: Desk, screen: ScreenPort, noun: str, ids: Sequence[str]) -> None:
        super().__init__(desk, screen)
        self._noun, self._hidden = noun, 0
        self._agent_ids = list(ids) if noun == "agents" else []
        self._task_ids = list(ids) if noun == "tasks" else []
        task = self.task if noun == "tasks" else None
        self._selected_agent = ids[0] if task is None else task.agent_id

    @property
    def scope(self) -> str:
        return self._noun

    def unmark(self) -> None:
        """Leave the marks: they were not what it was about."""
