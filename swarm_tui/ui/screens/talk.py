"""An agent's mail as its page shows it: who wrote what to whom, and how far it has come."""

from rich.segment import Segment

from swarm_tui.domain.fleet.mails import MailView
from swarm_tui.domain.mail.model import PERSON
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.look.text import Parts, clock, fit, flat
from swarm_tui.ui.model.model import Model
from swarm_tui.ui.widgets.page import Line, PageLines, Value, rule

LISTED = 30
"""Messages that show, the newest."""
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


def talk(model: Model, look: ThemeStyles, agent_id: str, width: int, key: str, page: PageLines) -> list[Line]:
    """Return the lines of the agent's mail, oldest first; `key` writes to it."""
    mine = [view for view in model.fleet.mails.values() if view.is_of(agent_id)]
    if not mine:
        return []
    return [
        rule(f"mail {len(mine)} ({key} writes)", width, page),
        *(_line(view, look, agent_id, width) for view in mine[-LISTED:]),
    ]


def _line(view: MailView, look: ThemeStyles, agent_id: str, width: int) -> Line:
    glyph, style = GLYPHS.get(view.state, ("?", "plain"))
    sender, to = view.sender.removeprefix(PERSON), view.to.removeprefix(PERSON)
    who = f"to {to or '?'}" if view.sender.removeprefix("guest ") == agent_id else f"from {sender or '?'}"
    if view.is_of(agent_id) and agent_id not in (view.to, view.sender):
        who = f"from {sender}, to {to}"
    marks = ("↩ " if view.reply_to else "") + ("? " if view.expects_answer else "")
    parts: Parts = [
        Segment(f"  {clock(view.at)} ", look["quiet"]),
        Segment(fit(f"{glyph} {state_of(view)}", 16) + " ", look[style]),
        Segment(fit(flat(who, 80), max(14, min(32, width // 4))) + " ", look["strong"]),
    ]
    said = f"{marks}{flat(view.text, 2000)}" + (f"  ({view.reason})" if view.reason else "")
    room = max(0, width - sum(part.cell_length for part in parts))
    return [*parts, Segment(fit(said, room), look["plain"])], Value(view.text or view.message_id)


def state_of(view: MailView) -> str:
    """Return how far it is in a word, of several receivers how many have read it."""
    if len(view.receipts) < 2:
        return view.state
    states = [receipt.state.value for receipt in view.receipts.values()]
    return f"{sum(state in ('read', 'answered') for state in states)} of {len(states)} read"
