"""Looks of each state: a glyph, a word and a style's name, so that colour is never alone."""

from rich.style import Style

from swarm_tui.domain.outcome import came_badly
from swarm_tui.domain.states import AgentState, TaskState
from swarm_tui.domain.views import TaskView

#: state → (glyph, style). The word is the state's own.
AGENT: dict[AgentState, tuple[str, str]] = {
    AgentState.STARTING: ("◌", "quiet"),
    AgentState.ONLINE: ("●", "ok"),
    AgentState.BUSY: ("▶", "busy"),
    AgentState.DRAINING: ("◐", "warn"),
    AgentState.SUSPECT: ("?", "warn"),
    AgentState.HUNG: ("‼", "bad"),
    AgentState.LOST: ("✗", "bad"),
    AgentState.OFFLINE: ("○", "quiet"),
    AgentState.BACKOFF: ("↻", "warn"),
    AgentState.CRASHLOOP: ("‼", "bad"),
    AgentState.STOPPED: ("■", "quiet"),
}
TASK: dict[TaskState, tuple[str, str]] = {
    TaskState.BLOCKED: ("◌", "wait"),
    TaskState.AWAITING_APPROVAL: ("?", "warn"),
    TaskState.QUEUED: ("·", "wait"),
    TaskState.ASSIGNED: ("▷", "busy"),
    TaskState.RUNNING: ("▶", "busy"),
    TaskState.RETRY_WAIT: ("↻", "warn"),
    TaskState.HELD: ("‖", "warn"),
    TaskState.COMPLETE: ("✓", "ok"),
    TaskState.FAILED: ("✗", "bad"),
    TaskState.DEAD: ("‼", "bad"),
    TaskState.CANCELLED: ("⊘", "quiet"),
    TaskState.EXPIRED: ("⌛", "quiet"),
    TaskState.SKIPPED: ("⊝", "quiet"),
}
#: A task that is done, and whose own verdict is that it came out badly.
DONE_BADLY = ("✗", "warn")
#: Words that are shorter on the screen than on the wire.
WORD = {TaskState.AWAITING_APPROVAL: "approve?", TaskState.RETRY_WAIT: "retry"}


def of_task(task: TaskView) -> tuple[str, str]:
    """Return the task's glyph and style."""
    return DONE_BADLY if came_badly(task) else TASK[task.state]


class ThemeStyles:
    """The styles of one theme, by name; a name it lacks is plain."""

    def __init__(self, styles: dict[str, str]) -> None:
        self._styles = {name: Style.parse(text) for name, text in styles.items()}
        self._plain = Style()

    def __getitem__(self, name: str) -> Style:
        return self._styles.get(name, self._plain)
