"""Keys as people write them (`F5`, `Ctrl+N`, `?`, `PgUp`), and by the names under which the screen hears of them."""

import string
import unicodedata
from collections.abc import Sequence

_CALLED = {"/": "slash", "\\": "backslash", "@": "at", "-": "minus", "+": "plus", "_": "underscore"}
CHARACTERS = {
    _CALLED.get(each) or unicodedata.name(each).lower().replace("-", "_").replace(" ", "_"): each
    for each in string.punctuation
}
"""The names of those characters that are neither letters nor digits."""
_NAMES = {each: name for name, each in CHARACTERS.items()} | {
    "↑": "up", "↓": "down", "←": "left", "→": "right", " ": "space",
}  # fmt: skip
_WORDS = frozenset(
    {"up", "down", "left", "right", "home", "end", "pageup", "pagedown", "insert", "delete", "backspace", "tab",
     "enter", "escape", "space", *(f"f{n}" for n in range(1, 25)), *CHARACTERS}
)  # fmt: skip
_SHORT = {
    "esc": "escape", "return": "enter", "del": "delete", "ins": "insert", "pgup": "pageup", "pgdn": "pagedown",
    "pgdown": "pagedown", "page_up": "pageup", "page_down": "pagedown", "spacebar": "space", "backtab": "shift+tab",
}  # fmt: skip
_MODIFIERS = {"ctrl": "ctrl", "control": "ctrl", "alt": "alt", "shift": "shift"}
_SAME = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+left_square_bracket": "escape"}
"""Keys for which a terminal sends what it sends for others."""


def key_name(text: str) -> str | None:
    """The screen's name of a key; None when there is no such key."""
    text = text.strip() or text[:1]
    if len(text) > 1 and text[0] == "^":
        text = "ctrl+" + text[1:]
    held, text = _modifiers(text)
    name = _plain(text)
    if name is None:
        return None
    if "shift" in held and len(name) == 1 and name.isalpha():
        name, held = name.upper(), [each for each in held if each != "shift"]
    elif held and len(name) == 1:
        name = name.lower()
    named = "+".join([*(each for each in ("alt", "ctrl", "shift") if each in held), name])
    return _SAME.get(named, named)


def _modifiers(text: str) -> tuple[list[str], str]:
    """The modifiers at the front of a key's text, and the rest of it."""
    held: list[str] = []
    while len(text) > 1:
        at = next((n for n, each in enumerate(text) if n and each in "+-"), -1)
        modifier = _MODIFIERS.get(text[:at].lower()) if at > 0 else None
        if modifier is None or at + 1 == len(text):
            break
        held.append(modifier)
        text = text[at + 1 :]
    return held, text


def _plain(text: str) -> str | None:
    """A key without modifiers."""
    if len(text) == 1:
        return _NAMES.get(text) or (text if text.isalnum() else None)
    word = text.lower()
    word = _SHORT.get(word, word)
    return word if word in _WORDS or word == "shift+tab" else None


def written(keys: str | Sequence[str]) -> list[str]:
    """The keys of a list, or of one text with commas between them."""
    if not isinstance(keys, str):
        return [key for each in keys for key in written(each)]
    if keys.strip() == ",":
        return [","]
    return [key.strip() for key in keys.split(",") if key.strip()] or ([keys] if keys else [])
