"""A talk by mail as the pages of agents and tasks show it: who wrote what to whom, and how far it has come."""

from collections.abc import Iterable

from rich.segment import Segment

from swarm_tui.domain.fleet.mails import MailView
from swarm_tui.domain.mail.model import PERSON
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.look.text import Parts, clock, fit, flat
from swarm_tui.ui.widgets.page import Line, PageLines, Value, rule

LISTED = 8
"""Messages that show, the newest: what follows on the page is not to go out of sight."""
#: A letter and a style for how far a message is.
GLYPHS = {
    "sent": ("…", "wait"),
    "accepted": ("·", "wait"),
    "delivered": ("→", "busy"),
    "read": ("✓", "ok"),
    "answered": ("↩", "ok"),
    "dead": ("✗", "bad"),
    "rejected": ("✗", "bad"),
}


def talk(
    views: Iterable[MailView], look: ThemeStyles, width: int, page: PageLines, *, of: str, about: str
) -> list[Line]:
    """Return the lines of a talk, oldest first: `of` an agent, whose name the lines leave out, or of a task's ("")."""
    found = list(views)
    if not found:
        return []
    rows = [_line(view, look, of, width) for view in found[-LISTED:]]
    earlier = len(found) - LISTED
    if earlier > 0:
        which = f"--agent {of}" if of else "--task"
        told = f"  {earlier} earlier: `swarm-tui messages {which}` lists them"
        rows.insert(0, ([Segment(fit(told, width), look["quiet"])], None))
    return [rule(f"mail {len(found)}{about}", width, page), *rows]


def _line(view: MailView, look: ThemeStyles, of: str, width: int) -> Line:
    glyph, style = GLYPHS.get(view.state, ("?", "plain"))
    marks = ("↩ " if view.reply_to else "") + ("? " if view.expects_answer else "")
    parts: Parts = [
        Segment(f"  {clock(view.at)} ", look["quiet"]),
        Segment(fit(f"{glyph} {state_of(view)}", 16) + " ", look[style]),
        Segment(fit(flat(_who(view, of), 80), max(14, min(32, width // 4))) + " ", look["strong"]),
    ]
    said = f"{marks}{flat(view.text, 2000)}" + (f"  ({view.reason})" if view.reason else "")
    room = max(0, width - sum(part.cell_length for part in parts))
    return [*parts, Segment(fit(said, room), look["plain"])], Value(view.text or view.message_id)


def _who(view: MailView, of: str) -> str:
    sender, to = view.sender.removeprefix(PERSON), view.to.removeprefix(PERSON) or "?"
    if of and of == view.sender.removeprefix("guest "):
        return f"to {to}"
    return f"from {sender or '?'}" if of and of == view.to else f"{sender or '?'} to {to}"


def state_of(view: MailView) -> str:
    """Return how far it is in a word, of several receivers how many have read it."""
    if len(view.receipts) < 2:
        return view.state
    states = [receipt.state.value for receipt in view.receipts.values()]
    return f"{sum(state in ('read', 'answered') for state in states)} of {len(states)} read"
