"""docs/PROTOCOL.md says what the code does: topics, payloads, roles, figures, and what its examples are read as."""

from importlib import import_module

import pytest

from swarm_tui.protocol import bodies
from swarm_tui.protocol.client_ids import client_id, dispatcher_client_id
from swarm_tui.protocol.codec import decode
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.names import _ALIASES, ROLE_TYPES, swarm_hash
from swarm_tui.protocol.topics import COMMANDS, QOS_0, RETAINED, Kind, topic
from tests.unit.house.pages import fences, read, rows, section

PAGE = read("PROTOCOL.md")
EXAMPLES = fences(PAGE, "json")
#: The page names what fills the `+` of a topic.
NAMES = {"<id>": "+", "<client>": "+", "<host>": "+", "<role>": "+"}


def plain(text: str) -> str:
    """Return a cell's code as the code writes it."""
    text = text.strip("`")
    for name, plus in NAMES.items():
        text = text.replace(name, plus)
    return text


def test_every_topic_is_in_the_table_with_its_flags() -> None:
    told = {
        plain(cells[0]): {flag for flag in cells[1].split(", ") if flag} for cells in rows(section(PAGE, "## Topics"))
    }
    assert told == {
        kind.value: {
            flag for flag, kinds in (("retained", RETAINED), ("QoS 0", QOS_0), ("command", COMMANDS)) if kind in kinds
        }
        for kind in Kind
        if kind is not Kind.OTHER
    }


def payloads() -> dict[str, list[str]]:
    """Return the fields that the page lists for each topic."""
    told: dict[str, list[str]] = {}
    payload = section(PAGE, "## Payloads")
    for line in payload.split("\n"):
        if line.startswith("### "):
            fields = [cells[0].strip("`") for cells in rows(section(payload, line))]
            for name in line.removeprefix("### ").split(", "):
                told[plain(name)] = fields
    return told


def test_every_field_of_every_payload_is_told_in_its_order() -> None:
    told = payloads()
    assert told.pop("Pane") == list(bodies.PaneStatus.__struct_fields__)
    assert told.pop("Layout") == list(bodies.LayoutRevision.__struct_fields__)
    assert told == {
        kind.value: list(body.__struct_encode_fields__) for kind, body in bodies.BODY.items() if kind is not Kind.OTHER
    }


def test_every_role_is_told_with_what_it_is_also_called_and_does() -> None:
    table = [cells for cells in rows(section(PAGE, "## Names")) if cells[0].strip("`") in ROLE_TYPES]
    assert [cells[0].strip("`") for cells in table] == list(ROLE_TYPES)
    for name, also, does in table:
        role = name.strip("`")
        assert {word.strip("`") for word in also.split(", ") if word} == {
            alias for alias, of in _ALIASES.items() if of == role
        }
        own = {word.strip("`") for word in does.split(";")[0].split(", ") if word.startswith("`")}
        assert own == set(ROLE_TYPES[role]), role


@pytest.mark.parametrize(("figure", "value", "where"), rows(section(PAGE, "## Figures")))
def test_every_figure_is_the_one_in_force(figure: str, value: str, where: str) -> None:
    module, _, name = where.strip("`").rpartition(".")
    told = float(value.split(" ")[0].replace(",", ""))
    assert getattr(import_module(module), name) == told, figure


@pytest.mark.parametrize(("info", "body"), EXAMPLES, ids=[f"{n} {info}" for n, (info, _) in enumerate(EXAMPLES)])
def test_every_example_is_read_as_the_page_says(info: str, body: str) -> None:
    refused, _, kind = info.rpartition(" ")
    heard = decode("s", topic("s", Kind(kind)), body.encode(), False, 1.8e9)
    assert isinstance(heard, Rejected if refused else Event), heard


def test_the_clients_id_is_made_as_the_page_says() -> None:
    assert "first 8 hex digits of the SHA-256" in section(PAGE, "## Names").replace("\n", " ")
    assert client_id("opencto-dev", "a") == f"{swarm_hash('opencto-dev')}-a"
    assert dispatcher_client_id("opencto-dev") == f"dispatcher-{swarm_hash('opencto-dev')}"
