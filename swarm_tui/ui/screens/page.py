"""A full page of lines with a title: the frame of all pages."""

from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from textual.app import ComposeResult

from swarm_tui.ui.look.text import Parts
from swarm_tui.ui.screens.base import SwarmScreen
from swarm_tui.ui.screens.page_search import PageSearch
from swarm_tui.ui.widgets.alert_strip import AlertStrip
from swarm_tui.ui.widgets.footer import Footer
from swarm_tui.ui.widgets.page import Line, PageLines
from swarm_tui.ui.widgets.prompt import Prompt
from swarm_tui.ui.widgets.static_lines import StaticLines

if TYPE_CHECKING:
    from swarm_tui.ui.app import SwarmApp


class TitleLine(StaticLines):
    """The page's name, and what is so of it."""

    DEFAULT_CSS = "TitleLine { height: 1; background: $panel; }"

    def lines(self, width: int) -> list[Parts]:
        screen: PageScreen = self.screen  # type: ignore[assignment]
        return [screen.title_parts(width)]


class PageScreen(PageSearch, SwarmScreen):
    """Subclasses give `title_parts` and `lay`.

    One that was closed is kept and turned to what the next is about: mounting another takes several times as long. So
    `turn_to` sets what it is about, and `begin` asks for what is not known of that.
    """

    CSS = "PageScreen { layers: below above; }"
    ASIDE = False
    """Whether it is about the screen, not about the swarm: one such page takes the place of another."""
    UPWARD = False
    """Whether words are looked for from the end."""

    def __init__(self, app: "SwarmApp", *subject: Any) -> None:
        super().__init__(app)
        self.page = PageLines(self.lay, id="page")
        self.turn_to(*subject)

    def compose(self) -> ComposeResult:
        yield TitleLine(id="title")
        yield AlertStrip(self.model, self.swarm_app.registry.told, id="trouble")
        yield self.page
        yield Prompt()
        yield Footer(id="footer")

    def on_mount(self) -> None:
        self.set_focus(self.page)
        self.begin()

    def turn_to(self, *subject: Any) -> None:
        """Be about this from now on."""

    def begin(self) -> None:
        """The page opens: ask for what is not known here."""

    def on_top(self, now: float) -> None:
        self.swarm_app.renew_standing()
        self.renew()

    def title_parts(self, width: int) -> Parts:
        """The first line."""
        raise NotImplementedError

    def lay(self, width: int) -> list[Line]:
        """The page's lines."""
        raise NotImplementedError

    def renew(self) -> None:
        """The facts changed."""
        for title in self.query(TitleLine):  # None yet where facts come before the page is composed.
            title.renew()
            self.page.renew()

    def copy(self) -> None:
        """What the line under the cursor says; one that is no name with a value, as it stands."""
        if self.page.count():
            value = self.page.value()
            self.swarm_app.copy(self.page.text(self.page.cursor).strip() if value is None else value)

    def copies(self) -> bool:
        return self.page.value() is not None

    def titled(self, kind: str, name: str, more: Parts) -> Parts:
        """`KIND name more`."""
        look = self.swarm_app.look
        return [Segment(f" {kind} ", look["head-on"]), Segment(f"{name} ", look["strong"]), *more]
