"""What a conversation costs: as its CLI says, else by its model's price, else not known, which is never 0."""

from itertools import accumulate

import pytest
from msgspec.structs import replace

from swarm_tui.agent.conversation.session_log import Logged, ModelCall
from swarm_tui.agent.conversation.settings import list_prices
from swarm_tui.agent.conversation.spec import Acp, SessionLog
from swarm_tui.agent.conversation.usage_meter import UsageMeter
from swarm_tui.agent.handlers.base import ResumePoint
from swarm_tui.domain.usage import Price, Usage, priced, read_usage, told


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "x/Claude-Haiku-4-5-20251001", "claude-haiku-4-5-latest"])
def test_a_models_name_gives_its_price_whatever_its_date(model: str) -> None:
    used = Usage(tokens_in=1_000_000, tokens_out=100_000, tokens_cached=500_000)
    assert priced(used, model, list_prices()).cost == pytest.approx(0.5 + 0.05 + 0.5)


@pytest.mark.parametrize("model", [None, "", "llama-9", "claude-haiku-4-5-mini", "claude-haiku-4", "claude-opus-5.5"])
def test_a_model_without_a_price_has_no_cost(model: str | None) -> None:
    used = priced(Usage(tokens_in=10, tokens_out=1), model, list_prices())
    assert used.cost is None
    assert told(used) == "10 tokens in, 1 out, cost not known"
    assert "cost" not in used.wire()


PRICES = {"m": Price(tokens_in=1000.0, tokens_out=1000.0)}
PLAIN = Acp(argv=["x"])
WITH_LOG = Acp(argv=["x"], log=SessionLog(files=["x"], folder="", answered={}, key="", tokens_in=[], tokens_out=[]))


def log_of(calls: int, *, waiting: bool = False, empty: int = 0) -> Logged:
    """Calls of 100 tokens in and 10 out each, at 0.11 dollars."""
    used = ModelCall("m", Usage(tokens_in=100, tokens_out=10))
    return Logged((*[used] * calls, *[ModelCall("m", None)] * empty), waiting)


def said(calls: int) -> dict[str, dict[str, int]]:
    """What a prompt's answer tells of so many calls."""
    return {"usage": {"inputTokens": 100 * calls, "outputTokens": 10 * calls}}


def spent_before(cost: float | None) -> ResumePoint:
    return ResumePoint(session="s", cost=cost)


def test_what_the_cli_says_counts_before_any_price() -> None:
    meter = UsageMeter(PLAIN, spent_before(0.25), PRICES)
    meter.model = "m"
    meter.turn_began()
    meter.prompt_ended({"usage": {"inputTokens": 100, "outputTokens": 10, "cachedReadTokens": 50}})
    assert meter.total.cost == pytest.approx(0.16), "by the price while the CLI says none"
    meter.updated({"cost": {"amount": 0.75, "currency": "USD"}})
    assert meter.total == Usage(tokens_in=150, tokens_out=10, tokens_cached=50, cost=0.5, session_cost=0.25)
    meter.turn_ended()
    assert meter.total.session_cost == 0.75
    meter.updated({"cost": {"amount": 1.0, "currency": "USD"}})
    assert meter.total.session_cost == 1.0, "its last word came after its answer"


def test_of_a_turn_that_is_killed_the_sessions_next_process_knows_nothing() -> None:
    """It may begin with a call that costs as much as the killed one had said, or more."""
    paid, before = 0.0, 0.0
    for costs in ((0.25,), (0.25, 0.5), (0.75,)):
        meter = UsageMeter(PLAIN, spent_before(before), {})
        meter.turn_began()
        for cost in accumulate(costs):
            meter.updated({"cost": {"amount": cost, "currency": "USD"}})
        meter.prompt_ended(said(1))
        paid += meter.total.cost or 0.0
        told_before = read_usage(meter.total.wire()).session_cost
        assert told_before is not None, "nothing is a cost too"
        before = told_before
    assert paid == 0.25 + 0.75 + 0.75


def test_what_a_session_costs_is_not_less_than_before_but_of_a_process_that_does_not_know() -> None:
    meter = UsageMeter(PLAIN, spent_before(0.25), {})
    meter.updated({"cost": {"amount": 0.125, "currency": "USD"}})
    meter.prompt_ended(said(1))
    assert meter.total.cost == 0.125


def test_what_was_cut_off_before_it_told_is_not_known_without_a_log_and_has_no_price() -> None:
    meter = UsageMeter(PLAIN, None, PRICES)
    meter.model = "m"
    meter.turn_began()
    meter.prompt_ended(said(1))
    meter.lost(1)
    assert told(meter.total) == "100 tokens in, 10 out, and more that nobody knows, cost not known"
    assert not read_usage(meter.total.wire()).is_nothing
    meter.updated({"cost": {"amount": 0.5, "currency": "USD"}})
    assert read_usage(meter.total.wire()) == Usage(
        tokens_in=100, tokens_out=10, cost=0.5, partial=True, session_cost=0.0
    )


def test_what_was_cut_off_is_in_the_log() -> None:
    meter = UsageMeter(WITH_LOG, None, PRICES)
    meter.prompt_ended(said(1))
    meter.logged(log_of(4))
    meter.lost(0)
    used = read_usage(meter.total.wire())
    assert (used.tokens_in, used.tokens_out, used.partial, used.logged) == (400, 40, False, True)
    assert used.cost == pytest.approx(0.44)


def test_the_model_that_a_log_names_has_its_price_where_the_cli_tells_more_than_that_log() -> None:
    meter = UsageMeter(WITH_LOG, None, PRICES)
    meter.logged(log_of(2))
    assert meter.total.cost == pytest.approx(0.22)
    meter.prompt_ended(said(3))
    assert (meter.total.tokens_in, meter.total.cost) == (300, pytest.approx(0.33)), "it was known, and is not lost"


@pytest.mark.parametrize("log", [log_of(2, waiting=True), log_of(2, empty=1)])
def test_a_call_that_was_under_way_is_said_and_counts_as_the_dearest(log: Logged) -> None:
    meter = UsageMeter(WITH_LOG, None, PRICES)
    meter.logged(log)
    meter.lost(0)
    used = read_usage(meter.total.wire())
    assert (used.tokens_in, used.partial, used.unsure) == (200, True, pytest.approx(0.11))


def test_a_call_whose_tool_was_heard_of_and_that_a_late_log_lacks_is_said() -> None:
    assert WITH_LOG.log is not None
    late = UsageMeter(replace(WITH_LOG, log=replace(WITH_LOG.log, lags=True)), None, PRICES)
    late.logged(log_of(2))
    late.lost(3)
    assert late.total.partial


def test_the_next_attempt_has_what_a_killed_one_took_and_counts_nothing_twice() -> None:
    point = ResumePoint(session="s", cost=0.22, known_cost=0.22, cut_off=True, tokens_in=200, tokens_out=20, calls=2)
    meter = UsageMeter(WITH_LOG, point, PRICES)
    assert meter.takes_in(point, log_of(5))
    meter.began(log_of(5))
    assert (meter.total.tokens_in, meter.total.settles) == (300, "s")
    meter.prompt_ended(said(2))
    assert meter.total.tokens_in == 500
    meter.logged(log_of(7))
    assert (meter.total.tokens_in, meter.total.partial) == (500, False), "its own two were told, too"
    assert meter.total.cost == pytest.approx(0.55)


def test_a_log_that_is_gone_tells_nothing() -> None:
    point = ResumePoint(session="s", cost=None, cut_off=True)
    meter = UsageMeter(WITH_LOG, point, PRICES)
    assert not meter.takes_in(point, None)
    assert meter.total.wire() == {"logged": True}


def test_a_sum_with_an_unknown_cost_is_unknown() -> None:
    known, unknown = Usage(tokens_in=1, cost=0.5), Usage(tokens_in=1)
    assert known.plus(unknown).cost is None
    assert known.plus(Usage()).cost == 0.5
    assert Usage().plus(unknown).cost is None


@pytest.mark.parametrize("said", [{}, {"cost": float("nan")}, {"tokens": -5}, {"tokens_in": "many"}, {"cost": True}])
def test_usage_that_is_none_is_passed_over(said: dict[str, object]) -> None:
    assert read_usage(said).is_nothing


def test_prices_are_positive_and_named() -> None:
    for name, price in list_prices().items():
        assert name == name.lower()
        assert 0 < (price.cached or 1) <= price.tokens_in < price.tokens_out
