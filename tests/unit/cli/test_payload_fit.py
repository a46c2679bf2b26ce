"""A payload is read as the type's schema says, and one that cannot fit is refused before anything is sent."""

import io
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from swarm_tui.agent.handlers import registry
from swarm_tui.agent.roles.api_gateway.json_http import UnfitError
from swarm_tui.agent.roles.api_gateway.task_request import task_of
from swarm_tui.bus.memory import MemoryBus
from swarm_tui.bus.memory_broker import MemoryBroker
from swarm_tui.cli.group import run
from swarm_tui.cli.payload import build_payload
from swarm_tui.client.operator import Operator
from swarm_tui.config.model import AgentEntry, HandlerSpec, Layout
from swarm_tui.config.resolve import doers
from swarm_tui.config.running import save_running
from swarm_tui.ui.live.connect import types_of
from swarm_tui.ui.model.draft import Draft
from swarm_tui.ui.model.draft import task_of as form_task
from tests.unit.cli.test_parts import running

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
    with pytest.raises(UnfitError, match="does not fit") as refused:
        task_of(body, None, operator, known)
    assert refused.value.status == 422
    assert task_of(body, None, operator).type == "testing.run", "nothing is known of who does it"
    assert task_of(b'{"type": "testing.run", "payload": {"path": "x"}}', None, operator, known).payload == {"path": "x"}


def test_what_a_foreign_program_does_is_not_judged() -> None:
    assert "testing.run" not in doers(layout(AgentEntry(role="testing"), AgentEntry(role="test", command=["mine"])))
    spec = HandlerSpec(use="x.y")
    found = doers(layout(AgentEntry(role="testing", handlers={"testing.run": spec}), AgentEntry(role="testing")))
    assert found["testing.run"] == [spec, None]


NESTED = HandlerSpec(command=["run", "{payload.dir}"])


@pytest.mark.parametrize(
    ("task_type", "spec", "payload", "why"),
    [
        ("testing.run", None, {"path": "x"}, None),
        ("testing.run", None, {"pth": "x"}, "there is no field `pth` (did you mean `path`?)"),
        ("testing.run", None, {"zzz": "x"}, "there is no field `zzz` (there are: path, args, repo, head, runner)"),
        ("testing.run", None, {"path": 3}, "Expected `str`, got `int` - at `$.path`"),
        ("deployment.deploy", None, {"version": "2"}, "Object missing required field `service`"),
        ("monitoring.health", None, {"checks": [{"kind": "http", "target": "http://x/", "timout": 1}]},
         "there is no field `checks[0].timout` (did you mean `timeout`?)"),
        ("noop", None, {"echo": {"any": ["thing"]}}, None),
        ("site.build", NESTED, {"dir": "x", "heard": "on stdin"}, None),
        ("no.such", None, {"a": 1}, None),
    ],
)  # fmt: skip
def test_a_field_that_nobody_knows_is_told_with_the_nearest(
    task_type: str, spec: HandlerSpec | None, payload: dict[str, object], why: str | None
) -> None:
    assert registry.slip(task_type, spec, payload) == why
    if why is not None and "no field" in why:
        assert registry.check(task_type, spec, payload) is None, "a foreign publisher's further fields are let pass"


def test_a_mistyped_field_is_refused_wherever_it_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    says = "there is no field `pth` (did you mean `path`?)"
    operator = Operator(MemoryBus(MemoryBroker(), "o"), "s", user="u", host="h")
    known = doers(layout(AgentEntry(role="testing")))
    with pytest.raises(UnfitError, match=re.escape(says)):
        task_of(b'{"type": "testing.run", "payload": {"pth": "x"}}', None, operator, known)
    types = {each.name: each for each in types_of(layout(AgentEntry(role="testing")))}
    task, wrong = form_task(Draft(type="testing.run", raw='{"pth": "x"}'), types["testing.run"], "t")
    assert (task, wrong) == (None, {"payload": says})
    plan = SimpleNamespace(layout=layout(AgentEntry(role="testing")))
    monkeypatch.setattr("swarm_tui.supervisor.plan.load_plan", lambda state: plan)
    save_running(running("s"))
    assert run(["publish", "testing.run", "-p", "pth=x", "--swarm", "s"]) == 2
    assert says in capsys.readouterr().err
