"""A prompt as it is typed into a CLI's screen, and what a person types there. Pure."""

import re

from swarm_tui.protocol.text import clean_block

#: Stand round what is pasted into a terminal: a program takes all between as text.
PASTE, END = b"\x1b[200~", b"\x1b[201~"
#: Stands before a prompt whose first character would make it a command.
LEAD = "What you are asked to do:\n"
#: Sent by a terminal by itself, or for a key that writes nothing.
_KEYS = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1bO.|\x1b[ -~]?|[\x00-\x1f\x7f]", re.DOTALL
)


def as_text(prompt: str, special: str) -> str:
    """Return the prompt as text and nothing else: a control character is shown as its picture, and is none.

    `special` holds the characters that would make it a command, were they its first.
    """
    text = clean_block(prompt.replace("\r\n", "\n").replace("\r", "\n")).expandtabs(4).strip()
    return LEAD + text if text[:1] and text[:1] in special else text


def pasted(text: str) -> bytes:
    """Return what a terminal would send for text that is pasted."""
    return PASTE + text.encode("utf-8", "replace") + END


def is_same(said: str, meant: str) -> bool:
    """Return whether a CLI was told just that, however it breaks its lines."""
    return said.split() == meant.split()


def holds(said: str, meant: str) -> bool:
    """Return whether a CLI was told that with other words around it."""
    return " ".join(meant.split()) in " ".join(said.split())


def writes(keys: bytes) -> bool:
    """Return whether what a terminal sent puts anything into a line that is written."""
    return bool(_KEYS.sub(b"", keys))
