"""Which shard work belongs to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.protocol.shards import choose, key_of, misfit, number_of, shard, whole_of
from swarm_tui.protocol.topics import Kind, parse


@pytest.mark.parametrize(("count", "key", "number"), [(3, "t-1", 2), (3, "t-2", 1), (1000, "task_0a4e0f1c52a4", 730)])
def test_the_choice_is_the_same_for_ever(count: int, key: str, number: int) -> None:
    assert choose(count, key) == number


@given(st.text(), st.integers(1, 10_000))
def test_every_work_has_a_shard(key: str, count: int) -> None:
    assert 0 <= choose(count, key) < count


def test_shards_get_even_shares() -> None:
    shares = [0] * 16
    for number in range(16_000):
        shares[choose(16, f"task_{number}")] += 1
    assert 850 < min(shares) <= max(shares) < 1150


def test_tasks_of_one_idempotency_key_are_of_one_shard() -> None:
    assert key_of("id", "a", "noop", "key") == key_of("id", "b", "noop", "key")
    assert key_of("type", "a", "noop", "key") == "noop"


def test_a_shard_s_name_says_which_it_is_of() -> None:
    assert (whole_of(shard("a/b", 12)), number_of(shard("a/b", 12))) == ("a/b", 12)
    assert whole_of("a/b") is whole_of("a/_s/x") is whole_of("a/_s/01") is whole_of("_s/1") is None


@pytest.mark.parametrize(
    ("swarm", "count", "says"),
    [
        ("farm", 0, ""),
        ("farm/_s/2", 3, ""),
        ("farm", 3, "--swarm"),
        ("farm/_s/3", 3, "beyond"),
        ("farm/_s/0", 0, "how many"),
    ],
)
def test_what_cannot_be_a_shard_is_told(swarm: str, count: int, says: str) -> None:
    assert misfit(swarm, count) == "" if not says else says in misfit(swarm, count)


def test_a_whole_does_not_hear_its_shards() -> None:
    assert parse("farm", "farm/_s/0/tasks/new") is None
    found = parse("farm/_s/0", "farm/_s/0/tasks/new")
    assert found is not None
    assert found.kind is Kind.TASK_NEW
