"""A strict writer: one envelope for all, and text that every reader can read."""

from collections.abc import Callable
from typing import Any

import msgspec

from swarm_tui.protocol.bodies import Body, Inbox, Task
from swarm_tui.protocol.envelope import Outgoing, rfc3339
from swarm_tui.protocol.raw import has_long_number
from swarm_tui.protocol.topics import COMMANDS, QOS_0, RETAINED, Kind, topic

#: Adds the sender's proof to a message: its kind, the name in its topic, its topic, its bytes.
Prove = Callable[[Kind, str, str, bytes], bytes]
#: How long a command may act, seconds.
COMMAND_LIFE = 60.0
#: Fields of a body that hold another one.
_NESTED = ("error", "task", "message")
_encode_json = msgspec.json.Encoder(enc_hook=str).encode


def builtins(body: Body) -> dict[str, Any]:
    """Return the body as the wire shows it: fields that are None are left out, `result` never."""
    plain: dict[str, Any] = msgspec.to_builtins(_shown(body), enc_hook=str)
    return plain


def _shown(body: Body) -> dict[str, Any]:
    """Return the fields that the wire shows, their values as they are: who encodes them finds the rest."""
    shown: dict[str, Any] = {}
    for name in body.__struct_fields__:
        value = getattr(body, name)
        if value is None:
            if name == "result":
                shown[name] = None
        elif name in _NESTED and isinstance(value, Body):
            shown[name] = _shown(value)
        elif value != "" or name != "agent_id":
            shown[name] = value
    if "sender" in shown:
        # A field of mail's: `from` is a word of Python's.
        shown["from"] = shown.pop("sender")
    return shown


def encode(value: dict[str, Any]) -> bytes:
    """Return `value` as UTF-8 JSON that readers take: a lone surrogate (of a file's name) becomes U+FFFD, an integer of
    more than 64 bits its digits as text."""
    try:
        raw = _encode_json(value)
    except UnicodeEncodeError:
        raw = b""
    if raw and not has_long_number(raw):
        return raw
    # In sets, structs and the like too.
    return _encode_json(_scrubbed(msgspec.to_builtins(value, enc_hook=str)))


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_scrubbed(name): _scrubbed(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(inner) for inner in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    return value


def _trace(body: Body) -> str:
    """Return the trace that the body belongs to; empty when it names none."""
    task = body.task if isinstance(body, Inbox) else body
    return task.traceparent or "" if isinstance(task, Task) else ""


class Writer:
    """Makes the messages that one sender says; ids and times come from its arguments, so that all replays.

    `new_id` gives a fresh uuid4 as text, `clock` the time in seconds since the epoch; `prove` adds the sender's proof
    to a message of a kind, with the name in its topic and the topic.
    """

    def __init__(
        self,
        swarm: str,
        sender: str,
        role: str,
        *,
        new_id: Callable[[], str],
        clock: Callable[[], float],
        prove: Prove | None = None,
    ) -> None:
        self.swarm = swarm
        self.sender = sender
        self.role = role
        self._new_id = new_id
        self._clock = clock
        self._prove = prove

    def message(
        self, kind: Kind, body: Body, key: str = "", *, message_id: str | None = None, at: float | None = None
    ) -> Outgoing:
        """Return the message of `kind`, said now or `at` that time; `key` fills the topic's `+`.

        A repeat of a message passes its `message_id`.
        """
        now = self._clock() if at is None else at
        envelope: dict[str, Any] = {
            "id": message_id or self._new_id(),
            "timestamp": rfc3339(now),
            "agent_id": self.sender,
            "role": self.role,
            "v": 1,
            "payload": (payload := _shown(body)),
        }
        expires_at = None
        if (kind in COMMANDS and kind not in RETAINED) or (kind is Kind.INBOX and "command" in payload):
            expires_at = now + COMMAND_LIFE
            envelope["expires_at"] = rfc3339(expires_at)
        elif isinstance(body, Inbox):
            # The dispatcher says an offer anew, or gives the task to another, before its lease ends.
            expires_at = now + (body.lease or COMMAND_LIFE)
        full, raw = topic(self.swarm, kind, key), encode(envelope)
        if self._prove is not None:
            raw = self._prove(kind, key, full, raw)
        return Outgoing(full, raw, 0 if kind in QOS_0 else 1, kind in RETAINED, expires_at, _trace(body))

    def clear(self, kind: Kind, key: str = "") -> Outgoing:
        """Return the empty retained message that clears what `kind` retains."""
        return Outgoing(topic(self.swarm, kind, key), b"", 1, True)
