"""The trouble of the swarm as a whole, on each page: whoever reads one must not take it for what is so now."""

from swarm_tui.domain.problems import Problem
from swarm_tui.ui.model.seen_problems import SWARM_WIDE
from swarm_tui.ui.widgets.header import ProblemStrip


class AlertStrip(ProblemStrip):
    """The trouble strip of a page: there only while the broker, the dispatcher or the swarm is in trouble."""

    @property
    def found(self) -> list[Problem]:
        return [problem for problem in self._model.current_problems() if problem.subject in SWARM_WIDE]

    def on_mount(self) -> None:
        self.show()

    def more(self, found: list[Problem], left: int) -> str:
        """Leave out the keys where people type: there they are letters of theirs."""
        if self.screen.scope == "form":  # type: ignore[attr-defined]
            return f" +{left} more" if left else ""
        return super().more(found, left)
