"""Progress of the task that the form sent: sent, queued, assigned, done, as the bus says so."""

from rich.segment import Segment

from swarm_tui.domain.outcome import outcome
from swarm_tui.domain.states import ENDED, TaskState
from swarm_tui.domain.views import TaskView
from swarm_tui.ui.desk.desk import desk_of
from swarm_tui.ui.look import glyphs
from swarm_tui.ui.look.text import Parts, fit, flat, wrapped
from swarm_tui.ui.model.model import Model
from swarm_tui.ui.model.source import Sent
from swarm_tui.ui.widgets.header import ends
from swarm_tui.ui.widgets.static_lines import StaticLines, clicking

_STAGES = ("sent", "queued", "assigned", "done")


class SentLine(StaticLines):
    """Says how to send until something was sent."""

    DEFAULT_CSS = "SentLine { height: 1; background: $panel; }"

    def __init__(self, model: Model, *, id: str) -> None:
        super().__init__(id=id)
        self._model = model
        self._sent: Sent | None = None
        self.task_id = ""
        """What was sent; empty before."""

    def follow(self, task_id: str, sent: Sent) -> None:
        """Say how far it is, from now on at each `renew`."""
        self.task_id, self._sent = task_id, sent
        self.renew()

    def clear(self) -> None:
        """Forget what was sent."""
        self.task_id, self._sent = "", None
        self.renew()

    def lines(self, width: int) -> list[Parts]:
        registry = desk_of(self).registry
        if self._sent is None:
            return [[Segment(f" {registry.key_text('send', typing=True)} sends", self.look["quiet"])]]
        parts, keys = self._told(width, self._sent, self._model.task(self.task_id)), registry.keys("open_sent")
        opens = f" {registry.key_text('open_sent', typing=True)} opens it " if keys else ""
        lines = [parts]
        if sum(part.cell_length for part in parts) + len(opens) > width:
            # The stages go before the key, which the last line has too; what an end says takes as many lines as it has.
            if len(parts) > 2 or not keys:
                return lines
            lines = _wrapped(parts[0], parts[1], width, len(opens))
        if keys:
            click = clicking(f"screen.press('{keys[0]}')")
            lines[-1] = ends(lines[-1], [Segment(opens, self.look["accent"] + click)], width)
        return lines

    def renew(self) -> None:
        if self.is_attached and self.size.width:
            self.styles.height = len(self.lines(self.size.width))
        super().renew()

    def _told(self, width: int, sent: Sent, task: TaskView | None) -> Parts:
        """Return the task and how far it is."""
        parts: Parts = [Segment(f" {flat(self.task_id)}  ", self.look["strong"])]
        if sent.stage in ("rejected", "gave-up"):
            return [*parts, Segment(f"✗ {sent.stage}: {flat(sent.reason)}", self.look["bad"])]
        if task is not None and task.state in ENDED:
            glyph, style = glyphs.of_task(task)
            came = task.error or task.reason or outcome(task.result)
            return [*parts, Segment(f"{glyph} {task.state.value}  {flat(came)}", self.look[style])]
        reached = _reached(sent, task)
        if reached < 0:
            parts += [Segment("○ sent", self.look["quiet"]), Segment(": waits for the broker", self.look["warn"])]
            return [*parts, Segment(" → ○ queued → ○ assigned", self.look["quiet"])]
        if task is not None and reached == 1 and (why := self._model.why_waiting(task)[0]):
            parts.append(Segment("● queued: ", self.look["ok"]))
            room = max(0, width - sum(part.cell_length for part in parts))
            return [*parts, Segment(fit(flat(why), room).rstrip(), self.look["warn"])]
        for number, stage in enumerate(_STAGES):
            done = number <= reached
            parts.append(Segment(f"{'●' if done else '○'} {stage}", self.look["ok" if done else "quiet"]))
            if stage == "assigned" and reached == 2 and task is not None and task.agent_id:
                parts.append(Segment(f" to {flat(task.agent_id)}", self.look["quiet"]))
            parts.append(Segment(" → ", self.look["quiet"]) if stage != "done" else Segment(""))
        return parts


def _wrapped(name: Segment, said: Segment, width: int, spare: int) -> list[Parts]:
    """Return what was said of the task in lines beside its name; `spare` columns of the last one are free."""
    indent = name.cell_length
    texts = wrapped(said.text, width - indent - 1)
    if len(texts[-1]) + indent + spare > width:
        texts.append("")
    return [
        [name if number == 0 else Segment(" " * indent), Segment(text, said.style)] for number, text in enumerate(texts)
    ]


def _reached(sent: Sent, task: TaskView | None) -> int:
    """Return the last stage that is true; -1 while not even the broker has it."""
    if task is not None and task.state in (TaskState.ASSIGNED, TaskState.RUNNING):
        return 2
    heard = -1 if task is None else 1 if task.accepted else 0
    return max(heard, {"sent": 0, "queued": 1, "assigned": 2}.get(sent.stage, -1))
