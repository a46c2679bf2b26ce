"""The settings of one conversation."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct


class Settings(Struct, frozen=True, kw_only=True):
    """The limits of one conversation. `silent_after`: seconds without a word while no tool runs, nobody is asked."""

    max_turns: int = 50
    max_cost: float | None = None
    model: str | None = None
    silent_after: float = 180.0
    mcp: Sequence[Mapping[str, Any]] = ()
