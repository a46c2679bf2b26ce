"""The usage of one conversation, from the different ways in which CLIs tell of it. Pure."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from swarm_tui.agent.conversation.spec import Acp
from swarm_tui.domain.usage import Price, Usage, priced


class UsageMeter:
    """Adds up what the prompts of a conversation took; its cost is what the CLI says, less what was spent before."""

    def __init__(self, acp: Acp, spent_before: float | None, prices: Mapping[str, Price]) -> None:
        """Make it; `spent_before` is what the session had cost before, None where nobody knows.

        `prices` give the cost where the CLI says none and its `model` is known.
        """
        self._prices = prices
        self.model: str | None = None
        self._acp = acp
        self._before = spent_before
        self._tokens = Usage()
        self._cut_off = False
        self.session_cost: float | None = None
        """The cost of the whole session, earlier attempts too, as the CLI says; None where it says none."""

    @property
    def total(self) -> Usage:
        """Return what this conversation took so far."""
        cost = None
        if self.session_cost is not None and self._before is not None:
            cost = max(0.0, self.session_cost - self._before)
        # While the CLI tells what its session cost, what is lost are tokens alone.
        whole = self._before is not None and self._acp.session_cost
        used = replace(self._tokens, cost=cost, partial=self._cut_off, whole=whole)
        return priced(used, self.model, self._prices)

    def updated(self, update: Mapping[str, Any]) -> None:
        """Hear a `usage_update`: its cost is of the whole session."""
        cost = update.get("cost")
        amount = cost.get("amount") if isinstance(cost, dict) and cost.get("currency") in (None, "USD") else None
        if isinstance(amount, int | float) and not isinstance(amount, bool) and amount >= 0:
            self.session_cost = float(amount)
            if self._before is not None and self.session_cost < self._before:
                # A process of before was killed, and this one does not know what that cost.
                self._before = 0.0

    def lost(self) -> None:
        """Note that a prompt ended without a word of what it took."""
        self._cut_off = True

    def prompt_ended(self, said: Mapping[str, Any]) -> bool:
        """Hear a prompt's answer. Returns whether it told of any usage."""
        found = self._quota(said) if self._acp.usage == "quota" else self._usage(said)
        if found is None:
            return False
        self._tokens = self._tokens.plus(found)
        return not found.is_nothing

    def _usage(self, said: Mapping[str, Any]) -> Usage | None:
        usage = said.get("usage")
        if not isinstance(usage, dict):
            return None
        cached = _count(usage.get("cachedReadTokens"))
        written = _count(usage.get("cachedWriteTokens"))
        return Usage(
            tokens_in=_count(usage.get("inputTokens")) + cached + written,
            tokens_out=_count(usage.get("outputTokens")),
            tokens_cached=cached,
        )

    def _quota(self, said: Mapping[str, Any]) -> Usage | None:
        meta = said.get("_meta")
        quota = meta.get("quota") if isinstance(meta, dict) else None
        counts = quota.get("token_count") if isinstance(quota, dict) else None
        if not isinstance(counts, dict):
            return None
        return Usage(tokens_in=_count(counts.get("input_tokens")), tokens_out=_count(counts.get("output_tokens")))


def _count(value: object) -> int:
    return max(0, int(value)) if isinstance(value, int | float) and not isinstance(value, bool) else 0
