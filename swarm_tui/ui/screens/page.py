"""A full page of lines with a title: the frame of all pages."""

from typing import Any

from rich.segment import Segment
from textual.app import ComposeResult

from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.ui.desk.capabilities import Copies, Opens, Searchable
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.look.text import Parts, clock
from swarm_tui.ui.screens.base import SwarmScreen
from swarm_tui.ui.widgets.alert_strip import AlertStrip
from swarm_tui.ui.widgets.footer import Footer
from swarm_tui.ui.widgets.page import Line, PageLines
from swarm_tui.ui.widgets.prompt import Prompt
from swarm_tui.ui.widgets.static_lines import StaticLines


class TitleLine(StaticLines):
    """The page's name, and what is so of it."""

    DEFAULT_CSS = "TitleLine { height: 1; background: $panel; }"

    def lines(self, width: int) -> list[Parts]:
        screen: PageScreen = self.screen  # type: ignore[assignment]
        parts, moment = screen.title_parts(width), screen.model.moment
        if moment is None or screen.ASIDE or screen.OF_NOW:
            return [parts]
        return [[Segment(f" ◀ {clock(moment.at)} ", screen.desk.look["caution"]), *parts]]


class PageSearch:
    """The search of one page. `upward`: one that grows at its end, as a log does, is searched from there."""

    def __init__(self, desk: Desk, page: PageLines, *, upward: bool) -> None:
        self._desk = desk
        self._page = page
        self._upward = upward

    def find(self, text: str) -> None:
        """Go to the next line that has the words: asked for again, the one after."""
        page, again = self._page, text == self._page.needle
        page.needle = text
        page.redraw()
        if not text:
            return
        hits = [index for index in range(page.count()) if text.lower() in page.text(index).lower()]
        if not hits:
            self._desk.say(f"this page has no {text!r}", bad=True)
            return
        up = self._upward
        further = [i for i in hits if (i < page.cursor if up else i > page.cursor) or (i == page.cursor and not again)]
        found = (further or hits)[-1 if up else 0]
        page.go(found)
        goes_on = self._desk.registry.told("open")
        self._desk.say(f"{text!r}: line {hits.index(found) + 1} of {len(hits)} that have it; {goes_on} goes on")


class PageScreen(SwarmScreen, Opens, Copies, Searchable):
    """Subclasses give `title_parts` and `lay`.

    One that was closed is kept and turned to what the next is about: mounting another takes several times as long. So
    `turn_to` sets what it is about, and `begin` asks for what is not known of that.
    """

    CSS = "PageScreen { layers: below above; }"
    ASIDE = False
    """True where it is about the screen, not about the swarm: one such page takes the place of another."""
    OF_NOW = False
    """True where it shows what is so now, whatever moment the screen shows."""
    UPWARD = False
    """True where words are looked for from the end."""

    def __init__(self, desk: Desk, *subject: Any) -> None:
        super().__init__(desk)
        self.page = PageLines(self.lay, id="page")
        self.search = PageSearch(desk, self.page, upward=self.UPWARD)
        self.turn_to(*subject)

    def compose(self) -> ComposeResult:
        yield TitleLine(id="title")
        yield AlertStrip(self.model, self.desk.registry.told, id="problem-strip")
        yield self.page
        yield Prompt()
        yield Footer(id="footer")

    def on_mount(self) -> None:
        self.set_focus(self.page)
        self.begin()

    def turn_to(self, *subject: Any) -> None:
        """Be about this from now on."""

    def begin(self) -> None:
        """Ask for what is not known here, as the page opens."""

    def on_top(self, now: float) -> None:
        self.renew_alerts()
        self.renew()

    def title_parts(self, width: int) -> Parts:
        """Return the first line."""
        raise NotImplementedError

    def lay(self, width: int) -> list[Line]:
        """Return the page's lines."""
        raise NotImplementedError

    def renew(self) -> None:
        """Draw anew what looks different now that facts changed."""
        for title in self.query(TitleLine):  # None yet where facts come before the page is composed.
            title.renew()
            self.page.renew()

    def copy(self) -> None:
        """Copy what the line under the cursor says; one that is no name with a value, as it stands."""
        if self.page.count():
            value = self.page.value()
            self.desk.copy(self.page.text(self.page.cursor).strip() if value is None else value)

    def copies(self) -> bool:
        return self.page.value() is not None

    # Searching and opening.

    def ask_filter(self) -> None:
        self.ask("find:", self.page.needle, self.search.find)
        self.query_one(Prompt).select()

    def set_filter(self, text: str) -> bool:
        self.search.find(text)
        return True

    def opens(self) -> bool:
        """Tell whether the line under the cursor is about something that has a page."""
        subject, fleet = self.page.subject(), self.model.fleet
        if isinstance(subject, str):
            return subject in fleet.agents or subject in fleet.tasks
        return isinstance(subject, Event | Rejected)

    def why_not_open(self) -> str | None:
        return None if self.page.needle or self.opens() else "this line has no page of its own"

    def enter(self) -> None:
        """Open what is under the cursor; where nothing is, go on to what is looked for."""
        self.open() if self.opens() else self.search.find(self.page.needle)

    def back(self) -> None:
        """Forget what was looked for; with nothing to forget, go back."""
        if self.page.needle:
            self.search.find("")
        else:
            super().back()

    def titled(self, kind: str, name: str, more: Parts) -> Parts:
        """Return `KIND name more`."""
        look = self.desk.look
        return [Segment(f" {kind} ", look["head-on"]), Segment(f"{name} ", look["strong"]), *more]
