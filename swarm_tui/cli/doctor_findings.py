"""A line of `doctor`: what was tried, and how it came out."""

from typing import Literal

from msgspec import Struct


class Finding(Struct, frozen=True):
    """`level`: `ok`, `warn` (works, not as well as it could), `bad` (a swarm cannot run so)."""

    level: Literal["ok", "warn", "bad"]
    name: str
    text: str


def ok(name: str, text: str) -> Finding:
    """All is well."""
    return Finding("ok", name, text)


def warn(name: str, text: str) -> Finding:
    """It works; the text says what would be better."""
    return Finding("warn", name, text)


def bad(name: str, text: str) -> Finding:
    """It does not work; the text says what to do."""
    return Finding("bad", name, text)
