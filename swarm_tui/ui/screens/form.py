"""The publish form: a type, its fields or raw text, target, priority, timeout; and what becomes of what was sent."""

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import Key, Resize
from textual.widgets import Input, Static, TextArea

from swarm_tui.ui.desk.actions import Action
from swarm_tui.ui.desk.capabilities import Opens, Sends
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.look.text import flat
from swarm_tui.ui.model.draft import (
    Draft,
    Drafts,
    as_text,
    draft_from,
    fields_of,
    into_fields,
    kept,
    task_of,
    types_sent,
    values_from,
)
from swarm_tui.ui.model.model import Delta, Model
from swarm_tui.ui.model.saved_state import ScreenState
from swarm_tui.ui.model.source import TaskType
from swarm_tui.ui.screens.base import SwarmScreen
from swarm_tui.ui.widgets.alert_strip import AlertStrip
from swarm_tui.ui.widgets.field import FieldRow
from swarm_tui.ui.widgets.footer import Footer
from swarm_tui.ui.widgets.payload_area import PayloadArea, shape_of
from swarm_tui.ui.widgets.progress import SentLine
from swarm_tui.ui.widgets.typelist import TypeList

KEPT = 20
TYPE_HELP = "type a part of it, ↓ chooses, enter takes"
TYPED_HELP = "enter takes the marked one, ↓ ↑ mark another, ^U clears it"
WIDE, TALL = 150, 36
"""Columns from which two fields stand side by side, and lines from which a payload has many."""


def doubts_of(model: Model, draft: Draft) -> dict[str, str]:
    """Return why nobody would do such a task: under the type, or under the agent that it is for."""
    why = model.rooms.doubt(draft.type, draft.target) if draft.type and model.live.broker_up else ""
    return {"target" if draft.target else "type": f"{why}; it can be sent all the same"} if why else {}


class FormScreen(SwarmScreen, Opens, Sends):
    """The form for one task at a time; it stays open after it was sent, and says how far the task is."""

    SCOPE = "form"
    NEW, LABEL, CHOSEN = "NEW TASK", "type", "^U clears it, and lists all types"
    HOW: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("to agent", "empty: whoever is free", "target"),
        ("priority", "low, medium or high", "priority"),
        ("timeout", "seconds; empty: as the layout says", "timeout"),
    )
    """The rows below the payload: name, help, and where it stands in the draft."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "turn(1)", show=False),
        Binding("shift+tab", "turn(-1)", show=False),
    ]
    CSS = """
    FormScreen #title { height: 1; background: $panel; padding: 0 1; text-style: bold; color: $accent; }
    FormScreen #scroll { height: 1fr; padding: 0 1; }
    FormScreen #fields { height: auto; margin-bottom: 1; }
    FormScreen TextArea { height: 7; border: none; border-left: outer $field; padding: 0 1 0 0; margin-left: 12;
                          max-width: 100; }
    FormScreen TextArea, FormScreen TextArea:ansi { background: $field; }
    FormScreen TextArea:focus { border: none; border-left: outer $accent; }
    FormScreen #how { height: auto; }
    FormScreen.wide #type { width: 50%; padding-right: 1; }
    FormScreen.wide #fields.apart { layout: grid; grid-size: 2; grid-rows: auto; grid-gutter: 0 2; }
    FormScreen.wide #how { layout: grid; grid-size: 3; grid-rows: auto; grid-gutter: 0 2; }
    FormScreen.wide FieldRow, FormScreen.wide TextArea { max-width: 100%; }
    FormScreen.tall TextArea { height: 20; }
    FormScreen #rawhelp, FormScreen .hint { color: $text-muted; margin-left: 12; }
    """

    def __init__(
        self,
        desk: Desk,
        entry: dict[str, Any] | None = None,
        *,
        types: dict[str, TaskType] | None = None,
        state: ScreenState | None = None,
        doubts: Callable[[Model, Draft], dict[str, str]] = doubts_of,
    ) -> None:
        """`types` are what can be chosen, the swarm's if they are not given; `state` keeps drafts.

        `doubts` returns what keeps nobody from sending it, by field, as mistakes are.
        """
        super().__init__(desk)
        self._doubts = doubts
        self.types = {each.name: each for each in desk.source.facts.types} if types is None else types
        self.kept = desk.state if state is None else state
        self.draft = draft_from(self.kept.draft)  # Of an earlier screen: it is put aside.
        self._first = entry
        self.drafts = Drafts(self.kept)
        self._leaves = ""
        """Raw text that was told to fit no fields: asked for once more, it is left."""
        self.progress = SentLine(self.model, id="sent")
        self._holds = frozenset((*self.keys(), "enter", "tab", "shift+tab", "up", "down"))
        """The keys after which what is typed is for another place."""
        self.listed = TypeList(self.types, lambda: types_sent(self.kept.sent), id="types")
        self.payload = PayloadArea(holds=self._holds, id="fields")
        self._own = False
        """Whether the type stands as it was typed, though it is a part of one that is known."""

    def compose(self) -> ComposeResult:
        row, draft = partial(FieldRow, holds=self._holds), self.draft
        yield Static(Content(self.NEW), id="title")
        yield AlertStrip(self.model, self.desk.registry.told, id="problem-strip")
        with VerticalScroll(id="scroll", can_focus=False):
            yield row(self.LABEL, TYPE_HELP, draft.type, id="type", filled=self.CHOSEN)
            yield self.listed
            yield self.payload
            with Vertical(id="how"):
                for label, help, name in self.HOW:
                    yield row(label, help, getattr(draft, name), id=name)
        yield self.progress
        yield Footer(id="footer")

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.width >= WIDE, "wide")
        self.set_class(event.size.height >= TALL, "tall")

    def keys(self) -> list[str]:
        registry = self.desk.registry
        return [key for act in registry.here("form") for key in registry.keys(act.name)]

    async def on_mount(self) -> None:
        self.begin(self._first)

    def begin(self, entry: dict[str, Any] | None = None) -> None:
        self.progress.clear()
        self.drafts.put_aside(kept(self.draft))
        self.call_later(self._fill, entry or {})

    # The payload's place follows the type.

    @property
    def known(self) -> TaskType | None:
        """Return the type that was typed, where it is a known one."""
        return self.types.get(self.draft.type)

    async def _lay_payload(self) -> None:
        await self.payload.lay_out(self.draft, self.known, partly=not self._own and bool(self.listed.found))
        self._check()

    @on(Input.Changed)
    async def _typed(self, event: Input.Changed) -> None:
        row = next((each for each in event.input.ancestors if isinstance(each, FieldRow)), None)
        if row is None:
            return
        if row.id == "type":
            text, draft = event.value.strip(), self.draft
            self.listed.match(text)
            if text != draft.type:
                draft.type, self._own = text, False
                if self.payload.shape != shape_of(draft, self.known, partly=not self._own and bool(self.listed.found)):
                    await self._lay_payload()
        else:
            row.put_into(self.draft, event.value)
        self._check()

    @on(TextArea.Changed)
    def _raw_typed(self, event: TextArea.Changed) -> None:
        self.draft.raw = event.text_area.text
        self._check()

    def _check(self, *, insist: bool = False) -> dict[str, str]:
        """Show what is wrong; `insist`: what is missing too. Kept as it is now, whatever ends the screen."""
        content = kept(self.draft)
        self.drafts.keep(content)
        offer = self.drafts.offered(content)
        offer = f"   {self.told('draft')} takes up the draft: {flat(offer, 40)}" if offer else ""
        self.query_one("#title", Static).update(Content(f"{self.NEW}{offer}"))
        listed = TYPED_HELP if self.draft.type else TYPE_HELP
        self.query_one("#type", FieldRow).say(listed if self.listed.display else self.CHOSEN)
        wrong = self.mistakes()
        if self.draft.priority not in ("low", "medium", "high"):
            wrong["priority"] = "low, medium or high"
        doubts = self._doubts(self.model, self.draft) if self.payload.shape.kind != "part" else {}
        for row in self.query(FieldRow):
            row.doubt(doubts.get(row.key, ""))
            row.wrong(wrong.get(row.key), insist=insist)
        self.payload.say_wrong(wrong.get("payload"), self.known)
        return wrong

    def mistakes(self) -> dict[str, str]:
        """Return what is wrong, by field."""
        return task_of(self.draft, self.known, "x")[1]

    # Acts.

    def on_key(self, event: Key) -> None:
        """Let the arrows choose from the list of types while it shows."""
        if self.listed.display and event.key in ("up", "down"):
            event.stop()
            event.prevent_default()
            self.listed.move(1 if event.key == "down" else -1)
            self.listed.redraw()
            self.desk.typed_keys.release()
        elif event.key in ("up", "down") and isinstance(self.focused, Input):
            event.stop()
            self.action_turn(1 if event.key == "down" else -1)

    def action_turn(self, by: int) -> None:
        """Go to the next field, or the one before."""
        if by > 0 and self.payload.shape.kind == "part" and self.focused is self.query_one("#type Input"):
            self.call_later(self._settle_type, None)
            return
        self.focus_next() if by > 0 else self.focus_previous()
        self.desk.typed_keys.release()

    def press(self, action: Action) -> None:
        super().press(action)
        self.desk.typed_keys.release()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        if (name := self.listed.chosen()) is not None:
            self.take_type(name)
            return
        if self.listed.display and self.focused is self.query_one("#type Input"):
            self.desk.say("type a part of a task type, or choose one with ↓", bad=True)
            self.desk.typed_keys.release()
        else:
            self.action_turn(1)

    def take_type(self, name: str) -> None:
        """Take the type that was chosen from the list."""
        self.call_later(self._settle_type, name)

    async def _settle_type(self, name: str | None) -> None:
        """Write the payload of this type next; None: of what was typed, which is no known type and meant so."""
        self.desk.notices.clear()  # What was said against the type is void.
        self.renew_footer()
        if name is None:
            self._own = True
        else:
            self.draft.type = name
        await self._lay_payload()
        if name is not None:
            self.query_one("#type", FieldRow).set(name)
        self.listed.display = False
        self.payload.focus_first()

    def send(self) -> None:
        """Publish what the form holds."""
        # The word of what was typed last may still be on its way.
        for row in self.query(FieldRow):
            row.put_into(self.draft, row.query_one(Input).value)
        for area in self.query(TextArea):
            self.draft.raw = area.text
        wrong = self._check(insist=True)
        if self.payload.shape.kind == "part":
            wrong["type"] = self.listed.part_of()
        if wrong:
            first = next((row for row in self.query(FieldRow) if row.key in wrong), None)
            name = next(iter(wrong)) if first is None else first.key
            label = self.LABEL if name == "type" else name.removeprefix("payload.")
            self.desk.say(f"{label}: {wrong[name]}", bad=True)
            if first is not None:
                first.focus_input()
            return
        self.submit()

    def submit(self) -> None:
        """Publish it: nothing is wrong with it."""
        task_id = f"task_{uuid.uuid4().hex[:12]}"
        task, _ = task_of(self.draft, self.known, task_id)
        if task is None:
            return
        desk = self.desk

        def moved() -> None:
            self.call_later(self.progress.renew)

        self.progress.follow(task_id, desk.source.submit(task, moved))
        entry = {
            "type": task.type,
            "payload": task.payload,
            "target": self.draft.target,
            "priority": self.draft.priority,
            "timeout": self.draft.timeout,
        }
        self.drafts.sent(kept(self.draft))
        self.kept.sent = [entry, *(old for old in self.kept.sent if old != entry)][:KEPT]

    def why_not_open(self) -> str | None:
        return None if self.progress.task_id else "nothing was sent yet: there is no task to open"

    def open(self) -> None:
        """Open the page of what was sent."""
        self.desk.pages.open_task(self.progress.task_id)

    def on_top(self, now: float) -> None:
        self.renew_alerts()

    def tick(self, now: float) -> None:
        self.progress.renew()

    def take(self, delta: Delta, now: float) -> None:
        if self.progress.task_id in delta.tasks:
            self.progress.renew()

    def raw(self) -> None:
        """Turn from fields to raw text, or back."""
        self.call_later(self._toggle_raw)

    async def _toggle_raw(self) -> None:
        draft, known = self.draft, self.known
        if self.payload.shape.kind == "part":
            await self._settle_type(None)
            return
        if draft.raw is None:
            draft.raw = as_text(draft, known)
        elif known is not None and fields_of(known.schema) and not into_fields(draft, known):
            if self._leaves != draft.raw:
                self._leaves = draft.raw
                again, back = self.told("raw"), self.told("draft")
                self.desk.say(f"no fields can hold this: it stays raw; {again} once more leaves it, {back} takes it up")
                return
            self.drafts.put_aside(kept(draft))
            draft.raw = None
        await self._lay_payload()
        self.payload.focus_first()

    def templates(self) -> None:
        """Choose a template or a task sent before."""
        from swarm_tui.ui.screens.templates import TemplatesScreen, choices_of

        def begin_from(entry: dict[str, object] | None) -> None:
            if entry:
                self.call_later(self._fill, entry)

        choices = choices_of(self.types.values(), self.kept.sent, self.kept.drafts)
        self.app.push_screen(TemplatesScreen(self.desk, choices), begin_from)

    async def _fill(self, entry: dict[str, object]) -> None:
        draft, self._own = draft_from(entry), False
        self.draft = draft
        if isinstance(payload := entry.get("payload"), dict):
            draft.values, draft.raw = values_from(payload, self.known)
        for row in self.query(FieldRow):
            if row.spec is None:
                row.set(getattr(draft, str(row.id)))
        self.listed.match(draft.type)
        await self._lay_payload()
        if draft.type:
            self.listed.display = False
            self.payload.focus_first()
        else:
            self.query_one("#type", FieldRow).focus_input()
            self.desk.typed_keys.release()

    def back(self) -> None:
        if self.listed.chosen() is not None:
            self.listed.display = False
            return
        super().back()
