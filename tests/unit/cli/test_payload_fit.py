"""A payload is read as the type's schema says, and one that cannot fit is refused before anything is sent."""

import io

import pytest

from swarm_tui.agent.handlers import registry
from swarm_tui.agent.roles.api_gateway.task_request import UnfitTaskError, task_of
from swarm_tui.bus.memory import MemoryBus
from swarm_tui.bus.memory_broker import MemoryBroker
from swarm_tui.cli.payload import build_payload
from swarm_tui.client.operator import Operator
from swarm_tui.config.model import AgentEntry, HandlerSpec, Layout
from swarm_tui.config.resolve import doers

EMPTY = io.BytesIO()


def fields(task_type: str, spec: HandlerSpec | None = None) -> dict[str, object]:
    found: dict[str, object] = registry.schema(task_type, spec)["properties"]
    return found


@pytest.mark.parametrize(
    ("pair", "value"),
    [("version=1.0", "1.0"), ("version=20261129", "20261129"), ("version=true", "true"), ("version=null", "null"),
     ('version="1.0"', "1.0"), ("version=[1]", "[1]"), ("other=1.0", 1.0)],
)  # fmt: skip
def test_what_the_schema_calls_text_stays_text(pair: str, value: object) -> None:
    assert list(build_payload(None, (pair,), EMPTY, fields("deployment.deploy")).values()) == [value]


def test_without_a_schema_a_value_is_read_as_json() -> None:
    assert build_payload(None, ("version=1.0",), EMPTY) == {"version": 1.0}


def test_a_payload_that_fits_nobody_is_named_and_one_that_fits_somebody_passes() -> None:
    own, command = None, HandlerSpec(command=["run", "{payload.anything}"])
    assert "path" in (registry.misfit("testing.run", [own], {"path": [1]}) or "")
    assert registry.misfit("testing.run", [own, command], {"anything": "x"}) is None
    assert registry.misfit("testing.run", [], {"path": [1]}) is None, "nobody is known who does it"
    assert registry.misfit("no.such", [None], {"a": 1}) is None


def layout(*agents: AgentEntry) -> Layout:
    return Layout(swarm="s", agents=list(agents))


def test_http_refuses_what_nobody_of_the_layout_could_do() -> None:
    operator = Operator(MemoryBus(MemoryBroker(), "o"), "s", user="u", host="h")
    known = doers(layout(AgentEntry(role="testing")))
    body = b'{"type": "testing.run", "payload": {"path": [1]}}'
    with pytest.raises(UnfitTaskError, match="does not fit") as refused:
        task_of(body, None, operator, known)
    assert refused.value.status == 422
    assert task_of(body, None, operator).type == "testing.run", "nothing is known of who does it"
    assert task_of(b'{"type": "testing.run", "payload": {"path": "x"}}', None, operator, known).payload == {"path": "x"}


def test_what_a_foreign_program_does_is_not_judged() -> None:
    assert "testing.run" not in doers(layout(AgentEntry(role="testing"), AgentEntry(role="test", command=["mine"])))
    spec = HandlerSpec(use="x.y")
    found = doers(layout(AgentEntry(role="testing", handlers={"testing.run": spec}), AgentEntry(role="testing")))
    assert found["testing.run"] == [spec, None]
