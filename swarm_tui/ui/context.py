"""What an act is about: the screen, what has focus, and the agents and tasks it would touch."""

from typing import TYPE_CHECKING

from swarm_tui.domain.views import AgentView, TaskView

if TYPE_CHECKING:
    from swarm_tui.ui.app import SwarmApp
    from swarm_tui.ui.lines import Lines
    from swarm_tui.ui.model import Model
    from swarm_tui.ui.screens.base import SwarmScreen


class Context:
    """Made for one key press. Whom it is about is settled once: a list that moves under a question changes nothing."""

    def __init__(self, app: "SwarmApp", screen: "SwarmScreen") -> None:
        self.app = app
        self.screen = screen
        self._agent_ids: list[str] | None = None
        self._task_ids: list[str] | None = None

    @property
    def scope(self) -> str:
        """Where the user is: a panel, a page, a dialog."""
        return self.screen.scope

    @property
    def model(self) -> "Model":
        return self.app.model

    @property
    def read_only(self) -> bool:
        return self.app.read_only

    @property
    def lines(self) -> "Lines | None":
        """The list that the movement keys move."""
        return self.screen.lines

    @property
    def agents(self) -> list[AgentView]:
        """The marked agents, or the one at hand."""
        known = self.model.fleet.agents
        if self._agent_ids is None:
            self._agent_ids = list(self.screen.agent_ids())
        return [known[name] for name in self._agent_ids if name in known]

    @property
    def tasks(self) -> list[TaskView]:
        """The marked tasks, or the one at hand."""
        known = self.model.fleet.tasks
        if self._task_ids is None:
            self._task_ids = list(self.screen.task_ids())
        return [known[name] for name in self._task_ids if name in known]

    @property
    def agent(self) -> AgentView | None:
        """The one agent at hand: the first."""
        return next(iter(self.agents), None)

    @property
    def task(self) -> TaskView | None:
        """The one task at hand: the first."""
        return next(iter(self.tasks), None)

    def say(self, text: str, *, bad: bool = False) -> None:
        """Tell the user, in a line."""
        self.app.say(text, bad=bad)
