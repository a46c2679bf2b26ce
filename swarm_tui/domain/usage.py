"""Tokens and money that an attempt takes. Pure. A cost that is not known is None, never 0."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from math import isfinite
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from swarm_tui.protocol.bodies import JsonObject


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens in, out, and of those in the ones that were read from a cache; `cost` is US dollars, None if unknown.

    `partial`: more was used, and nobody knows how much, for what took it ended before it told; `unsure` is what of that
    counts against a budget, in US dollars. `logged`: the session's own log has what is not told, for whoever goes on.
    `settles`: the session of which this has in it what earlier attempts took and did not tell. `session_cost` is the
    CLI's own word for what its whole session cost; a process of it that was killed told the next nothing.
    """

    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost: float | None = None
    partial: bool = False
    unsure: float = 0.0
    logged: bool = False
    settles: str = ""
    session_cost: float | None = None

    def plus(self, other: "Usage") -> "Usage":
        """Return the sum; its cost is known when both are, or when one of them is of nothing."""
        logged, settles = self.logged or other.logged, self.settles or other.settles
        if self.is_nothing or other.is_nothing:
            return replace(other if self.is_nothing else self, logged=logged, settles=settles)
        known = self.cost is not None and other.cost is not None
        return Usage(
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            tokens_cached=self.tokens_cached + other.tokens_cached,
            cost=(self.cost or 0.0) + (other.cost or 0.0) if known else None,
            partial=self.partial or other.partial,
            unsure=self.unsure + other.unsure,
            logged=logged,
            settles=settles,
        )

    @property
    def tokens(self) -> int:
        """Return all tokens."""
        return self.tokens_in + self.tokens_out

    @property
    def is_nothing(self) -> bool:
        """Return whether nothing was used, or nothing is known to have been."""
        return not self.tokens and not self.cost and not self.partial

    def wire(self) -> JsonObject:
        """Return it as messages carry it; an unknown cost is left out."""
        said: JsonObject = {}
        if not self.is_nothing:
            said |= {
                "tokens_in": self.tokens_in,
                "tokens_out": self.tokens_out,
                "tokens_cached": self.tokens_cached,
                "tokens": self.tokens,
            }
            if self.cost is not None:
                said["cost"] = round(self.cost, 6)
        more: JsonObject = {"partial": self.partial, "logged": self.logged, "settles": self.settles}
        more["unsure"] = round(self.unsure, 6)
        if self.session_cost is not None:
            said["session_cost"] = round(self.session_cost, 6)
        return said | {name: value for name, value in more.items() if value}


class DayUsage(Struct, kw_only=True):
    """Usage of a day (UTC). `cost` is that of the attempts whose cost is known; `unpriced` counts the others.

    `budget` is None where none is set, else what `policy.budget` allows and what of it is taken, in US dollars: `day`,
    `month` (None without such a limit), `spent_day`, `spent_month`, `reserved`.
    """

    day: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost: float = 0.0
    unpriced: int = 0
    budget: dict[str, float | None] | None = None

    def count(self, before: Usage, after: Usage) -> None:
        """Count what an attempt has used since it was last heard."""
        self.tokens_in += after.tokens_in - before.tokens_in
        self.tokens_out += after.tokens_out - before.tokens_out
        self.tokens_cached += after.tokens_cached - before.tokens_cached
        self.cost = max(0.0, self.cost + (after.cost or 0.0) - (before.cost or 0.0))
        self.unpriced += _is_unpriced(after) - _is_unpriced(before)

    @property
    def money(self) -> str:
        """Return the cost in words; what is not known is said."""
        known = f"${self.cost:.2f}" if self.cost >= 0.1 or not self.cost else f"${self.cost:.4f}"
        if not self.unpriced:
            return known
        return f"{known} and {self.unpriced} unknown" if self.cost else "cost unknown"


def day_of(rows: Iterable[object], known: DayUsage | None) -> DayUsage | None:
    """Return the day's usage as a reply's rows have it, `known` where none of them is such a row."""
    for row in rows:
        with suppress(msgspec.ValidationError):
            known = msgspec.convert(row, DayUsage)
    return known


def _is_unpriced(used: Usage) -> bool:
    return used.cost is None and not used.is_nothing


class Budget(Struct, frozen=True, kw_only=True):
    """US dollars that may be spent: for a task, on a day, in a month (UTC)."""

    task: float | None = None
    day: float | None = None
    month: float | None = None


def read_usage(said: Mapping[str, Any]) -> Usage:
    """Return what a message says of usage; what is no number that can be added is passed over.

    Handlers that know only a sum of tokens say `tokens`: it counts as tokens in.
    """
    tokens_in, tokens_out = _count(said.get("tokens_in")), _count(said.get("tokens_out"))
    if not tokens_in and not tokens_out:
        tokens_in = _count(said.get("tokens"))
    return Usage(
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        tokens_cached=_count(said.get("tokens_cached")),
        cost=_dollars(said.get("cost")),
        partial=said.get("partial") is True,
        unsure=_dollars(said.get("unsure")) or 0.0,
        logged=said.get("logged") is True,
        settles=settles[:200] if isinstance(settles := said.get("settles"), str) else "",
        session_cost=_dollars(said.get("session_cost")),
    )


def less(whole: Usage, part: Usage) -> Usage:
    """Return what is left of `whole`; its cost is known where that of `whole` is."""
    return replace(
        whole,
        tokens_in=max(0, whole.tokens_in - part.tokens_in),
        tokens_out=max(0, whole.tokens_out - part.tokens_out),
        tokens_cached=max(0, whole.tokens_cached - part.tokens_cached),
        cost=None if whole.cost is None else max(0.0, whole.cost - (part.cost or 0.0)),
    )


def late_usage(logged: Usage, told: Usage) -> Usage:
    """Return what an attempt used that was killed: as its log has it, and no less than it told by itself."""
    if logged.tokens < told.tokens:
        # A log that lags may lack what was told; the rest of it nobody knows.
        return replace(told, partial=True, unsure=logged.unsure, logged=False)
    costs = [logged.cost, told.cost if logged.cost is not None or logged.tokens == told.tokens else None]
    cost = max((one for one in costs if one is not None), default=None)
    return replace(
        logged, cost=cost, logged=False, settles=logged.settles or told.settles, session_cost=told.session_cost
    )


def _dollars(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        return None
    return float(value)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return 0
    return min(2**53, max(0, int(value)))


class Price(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"tokens_in": "in", "tokens_out": "out"}
):
    """US dollars for a million tokens in and out; `cached` for those in that a cache had, as much as others if None."""

    tokens_in: float
    tokens_out: float
    cached: float | None = None


#: The date of a model's name, which is no other model: anything else behind it may cost several times more.
_DATED = re.compile(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|latest)$")


def priced(used: Usage, model: str | None, prices: Mapping[str, Price]) -> Usage:
    """Return the usage with the cost that the model's price gives; as it is where its cost is known or no price is."""
    if used.cost is not None or used.is_nothing or used.partial or not model:
        return used
    name = _DATED.sub("", model.rpartition("/")[2].lower())
    price = next((price for known, price in prices.items() if known.lower() == name), None)
    if price is None:
        return used
    cached = price.tokens_in if price.cached is None else price.cached
    fresh = max(0, used.tokens_in - used.tokens_cached)
    cost = (fresh * price.tokens_in + used.tokens_cached * cached + used.tokens_out * price.tokens_out) / 1_000_000
    return replace(used, cost=cost)


def told(used: Usage) -> str:
    """Return the usage in words; a cost that is not known is said."""
    cached = f" ({used.tokens_cached:,} cached)" if used.tokens_cached else ""
    money = "cost not known" if used.cost is None else f"${used.cost:.4f}"
    more = ", and more that nobody knows" if used.partial else ""
    return f"{used.tokens_in:,} tokens in{cached}, {used.tokens_out:,} out{more}, {money}"
