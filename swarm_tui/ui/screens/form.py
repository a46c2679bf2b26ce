"""The publish form: a type, its fields or raw text, target, priority, timeout; and what becomes of what was sent."""

import uuid
from typing import ClassVar

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
    Field,
    as_text,
    draft_from,
    field_help,
    fields_of,
    kept,
    payload_of,
    shown,
    task_of,
    values_from,
)
from swarm_tui.ui.model.model import Delta
from swarm_tui.ui.model.source import TaskType
from swarm_tui.ui.screens.base import SwarmScreen
from swarm_tui.ui.widgets.alert_strip import AlertStrip
from swarm_tui.ui.widgets.field import FieldRow
from swarm_tui.ui.widgets.footer import Footer
from swarm_tui.ui.widgets.progress import SentLine
from swarm_tui.ui.widgets.typelist import TypeList

KEPT = 20
TYPE_HELP = "type a part of it, ↓ chooses, enter takes"
WIDE, TALL = 150, 36
"""Columns from which two fields stand side by side, and lines from which a payload has many."""


class FormScreen(SwarmScreen, Opens, Sends):
    """One task at a time; the form stays open after it was sent, and says how far the task is."""

    SCOPE = "form"
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
    FormScreen.wide #how { layout: grid; grid-size: 3; grid-rows: 2; grid-gutter: 0 2; }
    FormScreen.wide FieldRow, FormScreen.wide TextArea { max-width: 100%; }
    FormScreen.tall TextArea { height: 20; }
    FormScreen #rawhelp, FormScreen .hint { color: $text-muted; margin-left: 12; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.types = {each.name: each for each in desk.source.facts.types}
        self.draft = draft_from(desk.state.draft)
        self.progress = SentLine(self.model, id="sent")
        self._holds = frozenset((*self.keys(), "enter", "tab", "shift+tab", "up", "down"))
        """The keys after which what is typed is for another place."""
        self._for: str | None = None
        self._own = False
        """Whether the type stands as it was typed, though it is a part of one that is known."""
        self._shape = ("", "")
        """What stands in the payload's place, and for which known type."""

    def compose(self) -> ComposeResult:
        yield Static(Content("NEW TASK"), id="title")
        yield AlertStrip(self.model, self.desk.registry.told, id="trouble")
        with VerticalScroll(id="scroll", can_focus=False):
            yield self._row("type", TYPE_HELP, self.draft.type, "type", filled=f"{TYPE_HELP}, ^U clears it")
            yield TypeList(id="types")
            yield Vertical(id="fields")
            with Vertical(id="how"):
                yield self._row("to agent", "empty: whoever is free", self.draft.target, "target")
                yield self._row("priority", "low, medium or high", self.draft.priority, "priority")
                yield self._row("timeout", "seconds; empty: as the layout says", self.draft.timeout, "timeout")
        yield self.progress
        yield Footer(id="footer")

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.width >= WIDE, "wide")
        self.set_class(event.size.height >= TALL, "tall")

    def _row(
        self, name: str, help: str, value: str, id: str | None = None, spec: Field | None = None, filled: str = ""
    ) -> FieldRow:
        return FieldRow(name, help, value, holds=self._holds, spec=spec, id=id, filled=filled)

    def keys(self) -> list[str]:
        registry = self.desk.registry
        return [key for act in registry.here("form") for key in registry.keys(act.name)]

    async def on_mount(self) -> None:
        self.query_one(TypeList).match(self.draft.type, self.types, self._sent_types())
        await self._fields()
        self.begin()

    def begin(self) -> None:
        """The form opens: it holds what it held, and nothing of it is sent."""
        self.progress.clear()
        row = self.query_one("#type", FieldRow)
        row.focus_input()
        # What is typed takes the place of the last one's type; any other key leaves it.
        row.query_one(Input).select_all()
        self.query_one(TypeList).match(self.draft.type, self.types, self._sent_types())
        self.desk.typed_keys.release()

    def _sent_types(self) -> list[str]:
        """The types of the last tasks sent, the newest first."""
        return list(dict.fromkeys(str(entry.get("type")) for entry in self.desk.state.sent))

    # The fields follow the type.

    @property
    def known(self) -> TaskType | None:
        return self.types.get(self.draft.type)

    async def _fields(self) -> None:
        place = self.query_one("#fields", Vertical)
        await place.remove_children()
        specs = fields_of(self.known.schema) if self.known else []
        if self.draft.raw is not None and specs and self._for != self.draft.type:
            self._fit()
        self._for = self.draft.type
        self._shape = self._wanted()
        place.set_class(self._shape[0] == "fields", "apart")
        if self._shape[0] == "none":
            await place.mount(Static(Content("its fields show here when it has a type"), classes="hint"))
        elif self._shape[0] == "part":
            says = "its fields come with one of these; tab keeps it as it is typed"
            await place.mount(Static(Content(says), classes="hint"))
        elif self._shape[0] == "raw":
            self.draft.raw = self.draft.raw if self.draft.raw is not None else ""
            area = TextArea(self.draft.raw, id="rawtext", tab_behavior="focus", soft_wrap=True)
            area.cursor_blink = False
            await place.mount(Static(Content(self._raw_help()), id="rawhelp"), area)
        else:
            await place.mount_all(
                [
                    self._row(each.name, field_help(each), self.draft.values.get(each.name, ""), spec=each)
                    for each in specs
                ]
            )
        self._check()

    def _wanted(self) -> tuple[str, str]:
        """What is to stand in the payload's place: `none`, `part` of a type, `raw` or `fields`; for which known type.

        While a part of a known type is typed nobody wants to write JSON yet. What was written is never hidden.
        """
        name = self.draft.type if self.known else ""
        if not self.draft.type:
            return "none", ""
        if self.known and self.draft.raw is None and fields_of(self.known.schema):
            return "fields", name
        part = not (self.known or self.draft.raw or self._own) and bool(self.query_one(TypeList).found)
        return "part" if part else "raw", name

    def _raw_help(self) -> str:
        key = self.desk.registry.key_text("raw", typing=True)
        return "payload, as JSON or YAML" + (f" ({key}: fields)" if self.known and fields_of(self.known.schema) else "")

    @on(Input.Changed)
    async def _typed(self, event: Input.Changed) -> None:
        row = next((each for each in event.input.ancestors if isinstance(each, FieldRow)), None)
        if row is None:
            return
        if row.spec is not None:
            self.draft.values[row.spec.name] = event.value
        elif row.id == "type":
            await self._type_typed(event.value.strip())
        elif row.id == "target":
            self.draft.target = event.value.strip()
        elif row.id in ("priority", "timeout"):
            setattr(self.draft, row.id, event.value.strip())
        self._check()

    async def _type_typed(self, text: str) -> None:
        self.query_one(TypeList).match(text, self.types, self._sent_types())
        if text == self.draft.type:
            return
        self.draft.type, self._own = text, False
        if self._shape != self._wanted():
            await self._fields()

    @on(TextArea.Changed)
    def _raw_typed(self, event: TextArea.Changed) -> None:
        self.draft.raw = event.text_area.text
        self._check()

    def _check(self, *, insist: bool = False) -> dict[str, str]:
        """Show what is wrong; `insist`: what is missing too. Kept as it is now, whatever ends the screen."""
        self.desk.state.draft = kept(self.draft)
        _, wrong = task_of(self.draft, self.known, "x")
        if self.draft.priority not in ("low", "medium", "high"):
            wrong["priority"] = "low, medium or high"
        for row in self.query(FieldRow):
            row.wrong(wrong.get(row.key), insist=insist)
        for help in self.query("#rawhelp").results(Static):
            help.update(Content(flat(wrong.get("payload") or self._raw_help())))
        return wrong

    # Acts.

    def on_key(self, event: Key) -> None:
        """The arrows choose from the list of types while it shows."""
        listed = self.query_one(TypeList)
        if listed.display and event.key in ("up", "down"):
            event.stop()
            event.prevent_default()
            listed.move(1 if event.key == "down" else -1)
            listed.redraw()
            self.desk.typed_keys.release()
        elif event.key in ("up", "down") and isinstance(self.focused, Input):
            event.stop()
            self.action_turn(1 if event.key == "down" else -1)

    def action_turn(self, by: int) -> None:
        """To the next field, or the one before."""
        if by > 0 and self._shape[0] == "part" and self.focused is self.query_one("#type Input"):
            self.call_later(self._stand)
            return
        self.focus_next() if by > 0 else self.focus_previous()
        self.desk.typed_keys.release()

    def press(self, action: Action) -> None:
        super().press(action)
        self.desk.typed_keys.release()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        listed = self.query_one(TypeList)
        if (name := listed.chosen()) is not None:
            self.take_type(name)
            return
        if listed.display and self.focused is self.query_one("#type Input"):
            self.desk.say("type a part of a task type, or choose one with ↓", bad=True)
            self.desk.typed_keys.release()
        else:
            self.action_turn(1)

    def take_type(self, name: str) -> None:
        """A type was chosen from the list."""
        self.call_later(self._choose, name)

    def _settled(self) -> None:
        """The type is chosen: what was said against it is void."""
        self.desk.notices.clear()
        self.renew_footer()

    async def _choose(self, name: str) -> None:
        self._settled()
        self.draft.type = name
        await self._fields()
        self.query_one("#type", FieldRow).set(name)
        self.query_one(TypeList).display = False
        self._focus_payload()

    async def _stand(self) -> None:
        """The type is no known one and meant so: its payload is written as text."""
        self._own = True
        self._settled()
        await self._fields()
        self.query_one(TypeList).display = False
        self._focus_payload()

    def _focus_payload(self) -> None:
        first = next(iter(self.query("#fields Input, #fields TextArea")), None)
        if first is not None:
            self.set_focus(first)
        self.desk.typed_keys.release()

    def _gather(self) -> None:
        """Take what the fields hold now: the word of what was typed last may still be on its way."""
        for row in self.query(FieldRow):
            text = row.query_one(Input).value
            if row.spec is not None:
                self.draft.values[row.spec.name] = text
            else:
                setattr(self.draft, str(row.id), text.strip())
        for area in self.query(TextArea):
            self.draft.raw = area.text

    def send(self) -> None:
        """Publish what the form holds."""
        self._gather()
        wrong = self._check(insist=True)
        if self._shape[0] == "part":
            wrong["type"] = self._part_of()
        if wrong:
            first = next((row for row in self.query(FieldRow) if row.key in wrong), None)
            name = next(iter(wrong)) if first is None else first.key
            self.desk.say(f"{name.removeprefix('payload.')}: {wrong[name]}", bad=True)
            if first is not None:
                first.focus_input()
            return
        task_id = f"task_{uuid.uuid4().hex[:12]}"
        task, _ = task_of(self.draft, self.known, task_id)
        if task is None:
            return
        desk = self.desk
        self.progress.follow(task_id, desk.source.submit(task, self._moved))
        entry = {
            "type": task.type,
            "payload": task.payload,
            "target": self.draft.target,
            "priority": self.draft.priority,
            "timeout": self.draft.timeout,
        }
        desk.state.sent = [entry, *(old for old in desk.state.sent if old != entry)][:KEPT]

    def _part_of(self) -> str:
        """Of which types what was typed is a part, and how to go on."""
        names = [each.name for each in self.query_one(TypeList).found]
        which = f"{', '.join(names[:2])} and {len(names) - 2} more" if len(names) > 2 else " and ".join(names)
        return f"a part of {which}: enter takes, tab keeps it"

    def _moved(self) -> None:
        self.call_later(self.progress.renew)

    def why_not_open(self) -> str | None:
        return None if self.progress.task_id else "nothing was sent yet: there is no task to open"

    def open(self) -> None:
        """The page of what was sent."""
        self.desk.pages.open_task(self.progress.task_id)

    def on_top(self, now: float) -> None:
        self.renew_alerts()

    def tick(self, now: float) -> None:
        self.progress.renew()

    def take(self, delta: Delta, now: float) -> None:
        if self.progress.task_id in delta.tasks:
            self.progress.renew()

    def _fit(self) -> bool:
        """Lay the raw text out in the type's fields, where they hold all of it."""
        payload, wrong = payload_of(self.draft, self.known)
        values, rest = values_from(payload, self.known)
        if wrong or rest is not None:
            return False
        self.draft.values, self.draft.raw = values, None
        return True

    async def _toggle_raw(self) -> None:
        if self._shape[0] == "part":
            await self._stand()
            return
        if self.draft.raw is None:
            self.draft.raw = as_text(self.draft, self.known)
        elif self.known is not None and fields_of(self.known.schema) and not self._fit():
            self.desk.say("the fields cannot hold this payload: it stays raw", bad=True)
            return
        await self._fields()
        self._focus_payload()

    def raw(self) -> None:
        """Raw text, or fields."""
        self.call_later(self._toggle_raw)

    def templates(self) -> None:
        """Choose a template or a task sent before."""
        from swarm_tui.ui.screens.templates import TemplatesScreen

        choices: list[tuple[str, str, dict[str, object]]] = []
        for each in self.types.values():
            choices += [
                ("template", f"{each.name}: {name}", {"type": each.name, "payload": payload})
                for name, payload in each.templates.items()
            ]
        choices += [
            ("sent", f"{entry.get('type')}: {shown(entry.get('payload'))}", entry) for entry in self.desk.state.sent
        ]
        self.app.push_screen(TemplatesScreen(self.desk, choices), self._use)

    def _use(self, entry: dict[str, object] | None) -> None:
        if entry:
            self.call_later(self._fill, entry)

    async def _fill(self, entry: dict[str, object]) -> None:
        draft = draft_from(entry)
        known = self.types.get(draft.type)
        payload = entry.get("payload")
        draft.values, draft.raw = values_from(payload if isinstance(payload, dict) else {}, known)
        self.draft = draft
        for name, text in (
            ("type", draft.type),
            ("target", draft.target),
            ("priority", draft.priority),
            ("timeout", draft.timeout),
        ):
            self.query_one(f"#{name}", FieldRow).set(text)
        self.query_one(TypeList).display = False
        await self._fields()
        self._focus_payload()

    def back(self) -> None:
        listed = self.query_one(TypeList)
        if listed.chosen() is not None:
            listed.display = False
            return
        super().back()
