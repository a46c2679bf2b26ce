"""The payload's place in the form: the fields of its type, raw text, or a hint while there is no type to write for."""

from typing import NamedTuple

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static, TextArea

from swarm_tui.ui.desk.desk import desk_of
from swarm_tui.ui.look.text import flat
from swarm_tui.ui.model.draft import Draft, field_help, fields_of, into_fields
from swarm_tui.ui.model.source import TaskType
from swarm_tui.ui.widgets.field import FieldRow


class Shape(NamedTuple):
    """The way to write a payload (`none`, `part` of a type's name, `raw` or `fields`), and for which known type."""

    kind: str
    type: str = ""


def shape_of(draft: Draft, known: TaskType | None, *, partly: bool) -> Shape:
    """Return what is to stand in the payload's place; `partly`: a part of a known type's name may be what was typed.

    While a part of a known type is typed nobody wants to write JSON yet. What was written is never hidden.
    """
    name = draft.type if known else ""
    if not draft.type:
        return Shape("none")
    if known and draft.raw is None and fields_of(known.schema):
        return Shape("fields", name)
    return Shape("part" if partly and not known and not draft.raw else "raw", name)


class PayloadArea(Vertical):
    """Laid out anew when the type, or the way to write, is another."""

    def __init__(self, *, holds: frozenset[str], id: str) -> None:
        super().__init__(id=id)
        self._holds = holds
        self.shape = Shape("")
        self._for: str | None = None

    async def lay_out(self, draft: Draft, known: TaskType | None, *, partly: bool) -> None:
        """Give the draft's payload its place; raw text that a newly chosen type's fields can hold goes into them."""
        await self.remove_children()
        if draft.raw is not None and self._for != draft.type and known and fields_of(known.schema):
            into_fields(draft, known)
        self._for = draft.type
        self.shape = shape_of(draft, known, partly=partly)
        self.set_class(self.shape.kind == "fields", "apart")
        if self.shape.kind == "none":
            await self.mount(Static(Content("its fields show here when it has a type"), classes="hint"))
        elif self.shape.kind == "part":
            says = "its fields come with one of these; tab keeps it as it is typed"
            await self.mount(Static(Content(says), classes="hint"))
        elif self.shape.kind == "raw":
            draft.raw = draft.raw if draft.raw is not None else ""
            area = TextArea(draft.raw, id="rawtext", tab_behavior="focus", soft_wrap=True)
            area.cursor_blink = False
            await self.mount(Static(Content(self._raw_help(known)), id="rawhelp"), area)
        elif known is not None:
            await self.mount_all(
                FieldRow(each.name, field_help(each), draft.values.get(each.name, ""), holds=self._holds, spec=each)
                for each in fields_of(known.schema)
            )

    def say_wrong(self, why: str | None, known: TaskType | None) -> None:
        """Show what is wrong with the raw text, or how it is written."""
        for help in self.query("#rawhelp").results(Static):
            help.update(Content(flat(why or self._raw_help(known))))

    def _raw_help(self, known: TaskType | None) -> str:
        key = desk_of(self).registry.key_text("raw", typing=True)
        return "payload, as JSON or YAML" + (f" ({key}: fields)" if known and fields_of(known.schema) else "")

    def focus_first(self) -> None:
        """Type in the first of its fields."""
        first = next(iter(self.query("Input, TextArea")), None)
        if first is not None:
            self.screen.set_focus(first)
        desk_of(self).typed_keys.release()
