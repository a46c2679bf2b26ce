"""Finding words on a page: the cursor goes to the next line that has them, and they stand out wherever they are."""

from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style

from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.ui.look.text import Parts
from swarm_tui.ui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from swarm_tui.ui.screens.page import PageScreen


class PageSearch:
    """Mixed into the pages. One that grows at its end, as a log does, is searched upwards."""

    def ask_filter(self: "PageScreen") -> None:  # type: ignore[misc]
        """Ask what to find."""
        self.ask("find:", self.page.needle, lambda text: self.find(text))
        self.query_one(Prompt).select()

    def set_filter(self: "PageScreen", text: str) -> bool:  # type: ignore[misc]
        """Find these words."""
        self.find(text)
        return True

    def find(self: "PageScreen", text: str) -> None:  # type: ignore[misc]
        """Go to the next line that has the words: asked for again, the one after."""
        page, again = self.page, text == self.page.needle
        page.needle = text
        page.redraw()
        if not text:
            return
        hits = [index for index in range(page.count()) if text.lower() in page.text(index).lower()]
        if not hits:
            self.swarm_app.say(f"this page has no {text!r}", bad=True)
            return
        up = self.UPWARD
        ahead = [i for i in hits if (i < page.cursor if up else i > page.cursor) or (i == page.cursor and not again)]
        found = (ahead or hits)[-1 if up else 0]
        page.go(found)
        goes_on = self.swarm_app.registry.told("open")
        self.swarm_app.say(f"{text!r}: line {hits.index(found) + 1} of {len(hits)} that have it; {goes_on} goes on")

    def opens(self: "PageScreen") -> bool:  # type: ignore[misc]
        """Whether the line under the cursor is about something that has a page."""
        subject, fleet = self.page.subject(), self.model.fleet
        if isinstance(subject, str):
            return subject in fleet.agents or subject in fleet.tasks
        return isinstance(subject, Event | Rejected)

    def why_not_open(self: "PageScreen") -> str | None:  # type: ignore[misc]
        """Why enter has nothing to do here."""
        return None if self.page.needle or self.opens() else "this line has no page of its own"

    def enter(self: "PageScreen") -> None:  # type: ignore[misc]
        """Open what is under the cursor; where nothing is, go on to what is looked for."""
        self.open() if self.opens() else self.find(self.page.needle)

    def back(self: "PageScreen") -> None:  # type: ignore[misc]
        """Forget what was looked for; with nothing to forget, go back."""
        if self.page.needle:
            self.find("")
        else:
            self.swarm_app.pop_screen()


def standing_out(parts: Parts, needle: str, style: Style) -> Parts:
    """The parts with each `needle` in them in another style."""
    text, low = "".join(part.text for part in parts).lower(), needle.lower()
    if not needle or low not in text or len(text) != sum(len(part.text) for part in parts):
        return parts
    lit = bytearray(len(text))
    at = text.find(low)
    while at >= 0:
        lit[at : at + len(low)] = b"\1" * len(low)
        at = text.find(low, at + len(low))
    drawn: Parts = []
    start = 0
    for part in parts:
        for n, character in enumerate(part.text):
            base = part.style or Style()
            drawn.append(Segment(character, base + style if lit[start + n] else base))
        start += len(part.text)
    return list(Segment.simplify(drawn))
