"""What a conversation costs: as its CLI says, else by its model's price, else not known, which is never 0."""

import pytest

from swarm_tui.agent.conversation.settings import list_prices
from swarm_tui.agent.conversation.spec import Acp
from swarm_tui.agent.conversation.usage_meter import UsageMeter
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


def test_what_the_cli_says_counts_before_any_price() -> None:
    meter = UsageMeter(Acp(argv=["x"]), 0.25, {"m": Price(tokens_in=1000.0, tokens_out=1000.0)})
    meter.model = "m"
    meter.prompt_ended({"usage": {"inputTokens": 100, "outputTokens": 10, "cachedReadTokens": 50}})
    assert meter.total.cost == pytest.approx(0.16), "by the price while the CLI says none"
    meter.updated({"cost": {"amount": 0.75, "currency": "USD"}})
    assert meter.total == Usage(tokens_in=150, tokens_out=10, tokens_cached=50, cost=0.5), "less what came before"


def test_what_a_session_costs_is_not_less_than_before_but_of_a_process_that_does_not_know() -> None:
    meter = UsageMeter(Acp(argv=["x"]), 0.25, {})
    meter.updated({"cost": {"amount": 0.125, "currency": "USD"}})
    meter.prompt_ended({"usage": {"inputTokens": 100, "outputTokens": 10}})
    assert meter.total.cost == 0.125


def test_what_was_cut_off_before_it_told_is_not_known_and_has_no_price() -> None:
    meter = UsageMeter(Acp(argv=["x"]), 0.0, {"m": Price(tokens_in=1000.0, tokens_out=1000.0)})
    meter.model = "m"
    meter.prompt_ended({"usage": {"inputTokens": 100, "outputTokens": 10}})
    meter.lost()
    assert told(meter.total) == "100 tokens in, 10 out, and more that nobody knows, cost not known"
    assert not read_usage(meter.total.wire()).is_nothing
    meter.updated({"cost": {"amount": 0.5, "currency": "USD"}})
    assert read_usage(meter.total.wire()) == Usage(tokens_in=100, tokens_out=10, cost=0.5, partial=True)


def test_a_cli_that_tells_what_its_session_costs_says_so_before_it_has_told() -> None:
    meter = UsageMeter(Acp(argv=["x"], session_cost=True), 0.0, {})
    assert meter.total.plus(Usage(cost=0.0)).wire() == {"whole": True}
    # What a session had cost before nobody knows: the rest of it is not known either.
    assert UsageMeter(Acp(argv=["x"], session_cost=True), None, {}).total.wire() == {}


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
