"""Text from outside, made safe to show: no control or direction character survives."""

import re

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff\ufff9-\ufffb]"
)
_UNSAFE_BUT_LINES = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))

#: Colours, cursor moves, titles and other orders to a terminal.
_ORDERS = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\n]*(\x07|\x1b\\)?|[ -/]*[0-~])")


def _picture(match: "re.Match[str]") -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def clean(text: str, limit: int | None = None) -> str:
    """Return `text` as one line: each control character as its picture (ESC as ␛), at most `limit` characters."""
    if limit is not None and len(text) > limit:
        text = text[: max(0, limit - 1)] + "…"
    return _UNSAFE.sub(_picture, text) if not text.isascii() or not text.isprintable() else text


def as_read(line: str) -> str:
    """Return a line meant for a terminal as a person read it there: without orders and what a return overwrote."""
    return _ORDERS.sub("", line).rstrip("\r\n").rpartition("\r")[2]


def clean_block(text: str) -> str:
    """Return `text` with its newlines and tabs kept and every other control character as its picture."""
    return _UNSAFE_BUT_LINES.sub(_picture, text.replace("\r\n", "\n"))
