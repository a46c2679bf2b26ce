"""The usage of one conversation, from the different ways in which CLIs tell of it. Pure."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from swarm_tui.agent.conversation.session_log import Logged
from swarm_tui.agent.conversation.spec import Acp, SessionLog
from swarm_tui.agent.handlers.base import ResumePoint
from swarm_tui.domain.usage import Price, Usage, less, priced

_EMPTY = Logged(())


class KeptMeter(Struct, frozen=True, kw_only=True):
    """Beginning of a conversation's usage, from which what it took is known once more after its agent's death."""

    point: ResumePoint | None
    base: Logged
    taken_in: Logged | None
    model: str | None
    prices: dict[str, Price]

    def usage(self, log: SessionLog, now: Logged, heard: int) -> Usage:
        """Return what the conversation took, of which the log has this `now`; `heard` calls were heard of."""
        meter = UsageMeter(Acp(argv=[], log=log), self.point, self.prices)
        meter.model = self.model
        if self.point is not None and self.taken_in is not None:
            meter.takes_in(self.point, self.taken_in)
        meter.began(self.base)
        meter.logged(now)
        meter.lost(heard)
        return meter.total


class UsageMeter:
    """Adds up what the prompts of a conversation took: as the CLI says, or its own log of the session has it.

    What earlier attempts in the session took and did not tell, for they were killed, is of this conversation.
    """

    def __init__(self, acp: Acp, point: ResumePoint | None, prices: Mapping[str, Price]) -> None:
        """Make it; `point` is where an earlier attempt left off, `prices` give the cost where the CLI says none."""
        self._prices = prices
        self.model: str | None = None
        self._acp = acp
        self._before = point.cost if point else 0.0
        """Cost of the session before, as far as it was told; None where nobody knows."""
        self._tokens = Usage()
        self._base = _EMPTY
        """The session's log as it was when this conversation began."""
        self._log: Logged | None = None
        self._taken_in: tuple[ResumePoint, Logged] | None = None
        self._unlogged = False
        self._untold = 0
        self.session_cost: float | None = None
        """The cost of the whole session, earlier attempts too, as the CLI says; None where it says none."""
        self._in_turn = False
        self._ended_cost = self._before
        """The same as the last turn that ended left it: the next process knows no more of one killed in its turn."""

    @property
    def total(self) -> Usage:
        """Return what this conversation took so far."""
        earlier, settles = self._earlier()
        own = self._own()
        untold = self._untold + (earlier.partial if settles else 0)
        seen = self._log or self._base
        return replace(
            replace(earlier, partial=False).plus(own),
            partial=self._unlogged or bool(untold),
            logged=self._acp.log is not None,
            settles=settles,
            unsure=untold * seen.dearest(self._prices, self.model),
            session_cost=None if self.session_cost is None else self._ended_cost,
        )

    def _own(self) -> Usage:
        """Return what was used since this conversation began: as the CLI told, or as its log has it if that is more."""
        told = None
        if self.session_cost is not None and self._before is not None:
            told = max(0.0, self.session_cost - self._before)
        known = replace(self._tokens, cost=told)
        if self._log is not None:
            grown = less(self._log.usage(self._prices, self.model), self._base.usage(self._prices, self.model))
            if grown.tokens > known.tokens or (told is None and grown.tokens == known.tokens):
                # The CLI's own word for the cost has calls in it that are in no log.
                costs = [cost for cost in (told, grown.cost) if cost is not None]
                known = replace(grown, cost=max(costs, default=None))
        named = [call.model for call in self._log.calls if call.model] if self._log is not None else []
        # Some name their model only in their log.
        model = self.model or next(reversed(named), None)
        return known if self._unlogged else priced(known, model, self._prices)

    def _earlier(self) -> tuple[Usage, str]:
        """Return what earlier attempts took and did not tell (`partial`: not all of it is known), and their session."""
        if self._taken_in is None:
            return Usage(), ""
        point, log = self._taken_in
        told = Usage(
            tokens_in=point.tokens_in,
            tokens_out=point.tokens_out,
            tokens_cached=point.tokens_cached,
            cost=point.known_cost,
        )
        missing = max(log.untold, point.calls - len(log.calls) if self._lags else 0)
        used = less(log.usage(self._prices, self.model), told)
        return replace(used, partial=missing > 0), point.session

    @property
    def _lags(self) -> bool:
        return self._acp.log is not None and self._acp.log.lags

    def takes_in(self, point: ResumePoint, log: Logged | None) -> bool:
        """Take on what an attempt that was cut off took, as the log of its session says; False where none says it."""
        if log is not None:
            self._taken_in = (point, log)
        return log is not None

    def began(self, log: Logged | None) -> None:
        """Note the log of the session as it is when the conversation begins."""
        self._base = log or _EMPTY

    def kept(self) -> KeptMeter:
        """Return what another has to know that reads the session's log after this process."""
        point, taken_in = self._taken_in or (None, None)
        prices = dict(self._prices)
        return KeptMeter(point=point, base=self._base, taken_in=taken_in, model=self.model, prices=prices)

    def logged(self, log: Logged | None) -> None:
        """Take in the log of the session as it is now."""
        self._log = log or self._log

    def updated(self, update: Mapping[str, Any]) -> None:
        """Hear a `usage_update`: its cost is of the whole session."""
        cost = update.get("cost")
        amount = cost.get("amount") if isinstance(cost, dict) and cost.get("currency") in (None, "USD") else None
        if isinstance(amount, int | float) and not isinstance(amount, bool) and amount >= 0:
            self.session_cost = float(amount)
            if not self._in_turn:
                # Of the turn that has ended: its last word may come after its answer.
                self._settle_cost()
            if self._before is not None and self.session_cost < self._before:
                # A process of before was killed, and this one does not know what that cost.
                self._before = 0.0

    def lost(self, heard: int) -> None:
        """Note that a prompt ended without a word of what it took; `heard` calls of the model were heard of by now."""
        if self._log is None:
            self._unlogged = True
            return
        opened = sum(call.usage is None for call in self._base.calls)
        missing = heard - (len(self._log.calls) - len(self._base.calls)) if self._lags else 0
        self._untold = max(self._untold, self._log.untold - opened, missing)

    def turn_began(self) -> None:
        """Note that a prompt is said: what its turn takes is known to the CLI's next process once it has ended."""
        self._in_turn = True

    def turn_ended(self) -> None:
        """Note that the CLI has answered a prompt."""
        self._in_turn = False
        self._settle_cost()

    def _settle_cost(self) -> None:
        if self.session_cost is not None:
            self._ended_cost = self.session_cost

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


def model_of(offered: Mapping[str, Any]) -> str | None:
    """Return the model that a session says it begins with."""
    for option in offered.get("configOptions") or []:
        if isinstance(option, dict) and option.get("id") == "model" and isinstance(option.get("currentValue"), str):
            return str(option["currentValue"])
    models = offered.get("models")
    current = models.get("currentModelId") if isinstance(models, dict) else None
    return current if isinstance(current, str) else None


def _count(value: object) -> int:
    return max(0, int(value)) if isinstance(value, int | float) and not isinstance(value, bool) else 0
