"""Fresh ids for messages and incarnations."""

from os import urandom


def new_message_id() -> str:
    """Return a fresh id of a message that people may have to type: `m-` and 12 hex digits."""
    return f"m-{urandom(6).hex()}"


def new_id() -> str:
    """Return a uuid4 as text; each message has one, and the uuid module's objects take longer than the rest of it."""
    raw = bytearray(urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
