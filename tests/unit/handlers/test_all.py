"""What holds for every handler: a schema that people can fill in, and no library before the first task."""

import inspect
import json
import subprocess
import sys

import pytest

from swarm_tui.agent.handlers import registry
from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.registry import BUILTIN
from swarm_tui.config.model import HandlerSpec

HEAVY = ("httpx", "aiohttp", "markdown_it", "alembic", "sqlalchemy", "bandit", "detect_secrets", "textual", "pytest")
MODULES = sorted({where.partition(":")[0] for where in BUILTIN.values()})


@pytest.mark.parametrize("task_type", sorted(BUILTIN))
def test_every_field_is_described(task_type):
    schema = registry.schema(task_type)
    assert schema["type"] == "object"
    for name, field in schema.get("properties", {}).items():
        said = [part.get("description") for part in (field, *field.get("anyOf", []))]
        assert any(said), f"{task_type}: {name} says nothing"
    assert inspect.getdoc(type(registry.load(task_type)))


def test_no_library_comes_with_the_handlers_themselves():
    code = (
        f"import importlib, json, sys; [importlib.import_module(name) for name in {MODULES}]; "
        f"print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


PLUGIN = '''
from msgspec import Struct


class Payload(Struct):
    name: str


class Greet:
    """Greets."""

    Payload = Payload

    async def run(self, context):
        return {"text": f"hello {context.payload['name']}"}
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A distribution that brings a handler of its own, and one that is broken."""
    (tmp_path / "greetings.py").write_text(PLUGIN)
    info = tmp_path / "greetings-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greetings\nVersion: 1.0\n")
    points = "site.greet = greetings:Greet\nsite.broken = greetings:Nothing\n"
    (info / "entry_points.txt").write_text(f"[swarm_tui.handlers]\n{points}")
    monkeypatch.syspath_prepend(tmp_path)
    _forget()
    yield
    _forget()
    sys.modules.pop("greetings", None)


def _forget():
    registry._extras.cache_clear()
    registry._class_of.cache_clear()


def test_another_distribution_brings_a_handler(bench, plugin):
    assert registry.can_do("site.greet")
    assert bench.run(registry.load("site.greet"), "site.greet", {"name": "you"}) == {"text": "hello you"}
    assert registry.schema("site.greet")["required"] == ["name"]
    assert "Expected `str`" in registry.check("site.greet", None, {"name": 3})
    spec = HandlerSpec(use="site.greet")
    assert bench.run(registry.load("other.type", spec), "other.type", {"name": "me"}) == {"text": "hello me"}


def test_a_handler_that_does_not_load_is_an_error_that_names_it(plugin):
    with pytest.raises(HandlerError, match="broken") as caught:
        registry.load("site.broken")
    assert caught.value.code == "broken-handler"
    with pytest.raises(HandlerError, match="installed here; there are"):
        registry.load("site.nothing")
