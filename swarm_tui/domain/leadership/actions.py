"""Actions that a dispatcher's leadership decides, as data: its shell carries them out in order."""

from msgspec import Struct

from swarm_tui.domain.dispatch.model import LinkDown, LinkUp
from swarm_tui.protocol.bodies import Dispatcher, Inbox
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind


class Say(Struct, frozen=True):
    """Publish on the connection in use, at once; a body of None clears what the topic retains."""

    kind: Kind
    body: Dispatcher | Inbox | None
    key: str = ""


class Pass(Struct, frozen=True):
    """Let the engine hear this."""

    item: Event | LinkUp | LinkDown


class TakeBack(Struct, frozen=True):
    """Let the engine not hear what was passed and is not decided yet: hand it to `Leadership.keep` instead."""


class LeaveSession(Struct, frozen=True):
    """Leave the swarm's session with a farewell, so that its will is not said, and look on over a connection apart."""


class LookAgain(Struct, frozen=True):
    """Hear once more what the topic retains, over another connection that only looks."""


class OpenSession(Struct, frozen=True):
    """Close the connection that only looked, take up the journal, and open the swarm's one persistent session.

    `will` is what the broker says of us when that session's connection is lost.
    """

    will: Dispatcher


class WriteEpoch(Struct, frozen=True):
    """Write the epoch down, after hearing all that was passed; then call `Leadership.written`."""

    epoch: int


class RepeatHalt(Struct, frozen=True):
    """Say again the halt that the journal knows of: the broker may have forgotten it."""


class Lead(Struct, frozen=True):
    """Begin to give tasks away."""

    epoch: int


class StandDown(Struct, frozen=True):
    """Act no more, and leave: `reason` is a sentence for people."""

    reason: str


class Complain(Struct, frozen=True):
    """Show the sentence as why nothing is dispatched now; empty: nothing stands in the way any more."""

    sentence: str


class Note(Struct, frozen=True):
    """Tell the log."""

    line: str


Action = (
    Say
    | Pass
    | TakeBack
    | LeaveSession
    | LookAgain
    | OpenSession
    | WriteEpoch
    | RepeatHalt
    | Lead
    | StandDown
    | Complain
    | Note
)
