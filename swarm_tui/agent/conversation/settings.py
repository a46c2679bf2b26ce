"""The settings of one conversation."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Struct

from swarm_tui.domain.usage import Price


class Settings(Struct, frozen=True, kw_only=True):
    """The limits of one conversation. `silent_after`: seconds without a word while no tool runs, nobody is asked.

    `same_calls` and `idle_turns` are the loop guard's.
    """

    mode: str = "edit"
    max_turns: int = 50
    max_cost: float | None = None
    model: str | None = None
    silent_after: float = 180.0
    same_calls: int = 6
    idle_turns: int = 40
    prices: Mapping[str, Price] = {}
    mcp: Sequence[Mapping[str, Any]] = ()


@cache
def list_prices() -> dict[str, Price]:
    """Return the prices that are known without a word in the layout, by a model's name without its date."""
    import yaml  # An idle agent needs none of it.

    text = files("swarm_tui.agent.conversation").joinpath("prices.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.safe_load(text), dict[str, Price])
