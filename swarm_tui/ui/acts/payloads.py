"""What a question shows of the payloads that a yes would let run."""

from collections.abc import Iterable, Sequence

import msgspec

from swarm_tui.domain.views import TaskView
from swarm_tui.ui.text import fit, flat

LINES = 6
WIDTH = 54
"""What a question's box has room for at 80 columns."""


def payload_lines(tasks: Sequence[TaskView], opens: str) -> list[str]:
    """One task's payload a name to a line, several tasks a line each; what does not show is counted or marked …."""
    if len(tasks) == 1:
        lines = [f"{name}: {_short(value)}" for name, value in tasks[0].payload.items()]
        return _cut(lines or ["an empty payload"], f"{opens} on the task shows all")
    return _cut((f"{task.task_id}: {_short(task.payload)}" for task in tasks), "their payloads do not show here")


def _short(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _cut(lines: Iterable[str], rest: str) -> list[str]:
    shown = [f"  {fit(flat(line, 200), WIDTH).rstrip()}" for line in lines]
    more = len(shown) - LINES
    return shown if more <= 0 else [*shown[:LINES], f"  and {more} more: {rest}"]
