"""A row of a form: a name, a line to type in, its help or its mistake."""

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from swarm_tui.ui.look.text import flat
from swarm_tui.ui.model.draft import Draft, Field
from swarm_tui.ui.widgets.line import Line

LONGEST = 600
"""Letters of a help or a mistake, which take as many lines as they need."""


class FieldRow(Vertical):
    """`spec` is set for a field of the payload."""

    DEFAULT_CSS = """
    FieldRow { height: auto; max-width: 112; }
    FieldRow Horizontal { height: 1; }
    FieldRow .name { width: 12; text-style: bold; }
    FieldRow Input { border: none; height: 1; padding: 0 1; width: 1fr; }
    FieldRow Input, FieldRow Input:ansi { background: $field; }
    FieldRow Input:ansi { color: $field-text; }
    FieldRow Input:focus { background: $field-on; color: $field-text; }
    FieldRow .help { height: 1; margin-left: 12; color: $text-muted; }
    FieldRow.doubted .help { height: auto; color: $warning; }
    FieldRow:focus-within .help { height: auto; }
    FieldRow.wrong .help { height: auto; color: $error; }
    FieldRow.wrong .name { color: $error; }
    """

    def __init__(
        self,
        name: str,
        help: str,
        value: str,
        *,
        holds: frozenset[str],
        spec: Field | None = None,
        id: str | None = None,
        filled: str = "",
    ) -> None:
        super().__init__(id=id)
        self._holds = holds
        self.spec = spec
        self._label = flat(name, 40) + ("*" if spec is not None and spec.required else "")
        self._help = flat(help, LONGEST)
        self._filled = flat(filled or help, LONGEST)
        """The help while something is typed."""
        self._value = value
        self._doubt = ""
        self.key = f"payload.{spec.name}" if spec is not None else id or ""
        """What its mistake is found under."""

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static(Content(self._label[:11]), classes="name")
            yield Line(self._value, holds=self._holds)
        yield Static(Content(self._help), classes="help")

    def focus_input(self) -> None:
        """Type here."""
        self.screen.set_focus(self.query_one(Input))

    def set(self, text: str) -> None:
        """Fill it."""
        field = self.query_one(Input)
        field.value = text
        field.cursor_position = len(text)

    def say(self, help: str) -> None:
        """Say this while something is typed."""
        self._filled = flat(help, LONGEST)

    def doubt(self, words: str) -> None:
        """Warn of what stands here, from the next `wrong` on; nothing keeps it from being sent."""
        self._doubt = flat(words, LONGEST)

    def put_into(self, draft: Draft, text: str) -> None:
        """Write into the draft what is typed here."""
        if self.spec is not None:
            draft.values[self.spec.name] = text
        else:
            setattr(draft, str(self.id), text.strip())

    def wrong(self, why: str | None, *, insist: bool = False) -> None:
        """Show the mistake, or the help; of an empty field only where one must `insist`."""
        if not self.is_mounted:
            return
        shown = why is not None and (insist or bool(self.query_one(Input).value.strip()))
        doubted = bool(self._doubt) and not shown
        self.set_class(shown, "wrong")
        self.set_class(doubted, "doubted")
        help = self._filled if self.query_one(Input).value else self._help
        said = f"✗ {why}" if shown else f"! {self._doubt}" if doubted else help
        self.query_one(".help", Static).update(Content(flat(said, LONGEST)))
