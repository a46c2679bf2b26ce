"""Finding words on a page: the cursor goes to the next line that has them, and they stand out wherever they are."""

from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.widgets.page import PageLines


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
