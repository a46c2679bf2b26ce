"""MQTT client ids: nobody evicts anybody, and every broker takes them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.protocol.client_ids import (
    LONGEST,
    Client,
    client_id,
    client_id_of,
    dispatcher_client_id,
    former_dispatcher_client_id,
)

NAMES = st.text("ab1_.-", min_size=1, max_size=64) | st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True)
SWARMS = st.sampled_from(["opencto-dev", "a", "team/one", "x" * 200])
FIT = re.compile(rf"[A-Za-z0-9-]{{1,{LONGEST}}}")


@given(SWARMS, st.lists(NAMES, min_size=2, max_size=20, unique=True))
def test_agents_of_different_ids_have_different_client_ids(swarm: str, names: list[str]) -> None:
    made = [client_id(swarm, name) for name in names]
    assert len(set(made)) == len(names)
    assert all(FIT.fullmatch(one) for one in made)


@pytest.mark.parametrize(
    "pair", [("a.b", "a_b"), ("a-b", "a.b"), ("a", "a-"), ("x" * 64, "x" * 63 + "y"), ("a--b", "a-b"), ("-", "."),
             ("a.b", "a-b--" + client_id("s", "a.b")[-16:])]
)  # fmt: skip
def test_ids_that_are_easily_confused_stay_apart(pair: tuple[str, str]) -> None:
    assert client_id("s", pair[0]) != client_id("s", pair[1])


@given(SWARMS, SWARMS, NAMES)
def test_swarms_stay_apart_and_a_plain_id_is_read_as_it_is(one: str, other: str, name: str) -> None:
    assert (client_id(one, name) == client_id(other, name)) is (one == other)
    assert client_id("s", "review-1").endswith("-review-1")


@given(SWARMS, st.text(max_size=300), st.sampled_from(list(Client)), st.from_regex(r"[a-z0-9]{1,16}", fullmatch=True))
def test_the_random_part_is_never_cut(swarm: str, name: str, client: Client, unique: str) -> None:
    made = client_id_of(client, swarm, name, unique)
    assert FIT.fullmatch(made)
    assert made.endswith(f"-{unique}")


@given(SWARMS, NAMES, NAMES)
def test_no_agent_has_the_id_of_another_kind_of_client(swarm: str, agent: str, name: str) -> None:
    others = {client_id_of(client, swarm, name) for client in Client} | {dispatcher_client_id(swarm)}
    assert len(others) == len(Client) + 1
    assert client_id(swarm, agent) not in others


def test_screens_of_one_person_on_a_host_of_a_long_name_stay_apart() -> None:
    person = "ada.lovelace.of.the.analytical.engine@a-machine-of-a-very-long-name"
    assert client_id_of(Client.SCREEN, "s", person, "1" * 12) != client_id_of(Client.SCREEN, "s", person, "2" * 12)


@pytest.mark.parametrize("unique", ["a.b", "x" * 17, "a-b", "\u00e4"])
def test_a_random_part_that_does_not_fit_is_refused(unique: str) -> None:
    with pytest.raises(ValueError, match="1 to 16"):
        client_id_of(Client.SCREEN, "s", "a", unique)


def test_the_dispatchers_session_is_not_the_former_one() -> None:
    assert dispatcher_client_id("s") != former_dispatcher_client_id("s")
