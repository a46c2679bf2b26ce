"""code.plan: a goal becomes parts, by a model or a CLI; what is no plan is told, and what is missing is named."""

import json
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec import Struct

from swarm_tui import testing
from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.models.plan import MAX_PROMPT, Plan
from swarm_tui.config.model import HandlerSpec
from swarm_tui.protocol.run_bodies import RunEnded
from tests.fake_model import serve
from tests.wait import until

AGENT = Path(__file__).parents[2] / "acp_agent.py"
PARTS = [
    {"title": "door", "prompt": "write door.py", "files": ["door.py"]},
    {"title": "bell", "prompt": "write bell.py"},
]
WHOLE = [{"files": [], "done": "", **part} for part in PARTS]


def says(text: str) -> str:
    """A goal at which the scripted model answers with this text."""
    return f"a house [[say {text}]]"


def by_acp(folder: Path) -> dict[str, Any]:
    """The options of a CLI that is talked to by ACP: the small agent that behaves as a real one."""
    argv = [sys.executable, "-I", "-S", str(AGENT), "claude"]
    acp = {"argv": argv, "session_mode": "default", "usage": "prompt", "env": {"ACP_AGENT_HOME": str(folder)}}
    return {"cli": "mine", "clis": {"mine": {"acp": acp}}, "mcp": False}


@pytest.fixture
def llm() -> Any:
    with serve() as base:
        yield {"model": "fake", "base_url": f"{base}/v1"}


def test_a_model_turns_a_goal_into_parts(bench: Any, llm: Any) -> None:
    answer = f"Here it is:\n```json\n{json.dumps({'parts': PARTS})}\n```"
    found = bench.run(Plan(), "code.plan", {"goal": says(answer)}, options={"llm": llm})
    assert (found["parts"], found["usage"]["tokens"]) == (WHOLE, 110)
    assert bench.heard.progress[-1] == (100, "planned 2 parts")


def test_a_cli_turns_a_goal_into_parts_by_its_conversation(bench: Any, tmp_path: Path) -> None:
    goal = says(json.dumps({"parts": PARTS}))
    found = bench.run(Plan(), "code.plan", {"goal": goal}, options=by_acp(tmp_path))
    assert found["parts"] == WHOLE
    assert (found["cli"], bool(found["session"])) == ("mine", True)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("first the door, then the bell", "it holds no JSON object"),
        ('{"parts": []}', "it has 0 parts; 1 to 3 are wanted"),
        (json.dumps({"parts": PARTS * 2}), "it has 4 parts; 1 to 3 are wanted"),
        ('{"parts": [{"title": "door"}]}', "missing required field `prompt`"),
        ('{"parts": [{"title": "door", "prompt": ""}]}', "Expected `str` of length >= 1"),
        ('{"parts": [{"title": "a", "prompt": "b", "command": "rm"}]}', "unknown field `command`"),
        (json.dumps({"parts": [{"title": "a", "prompt": "b" * (MAX_PROMPT + 1)}]}), "length <= 8000"),
        ('{"parts": ' + '{"a":' * 5000 + "1" + "}" * 5000, "nesting|recursion|Expected"),
    ],
)
def test_an_answer_that_is_no_plan_may_be_better_the_next_time(bench: Any, llm: Any, answer: str, why: str) -> None:
    with pytest.raises(HandlerError, match=why) as caught:
        bench.run(Plan(), "code.plan", {"goal": says(answer)}, options={"llm": llm, "max_parts": 3})
    assert (caught.value.code, caught.value.retryable) == ("bad-plan", True)
    assert caught.value.result is not None
    assert caught.value.result["usage"]["tokens"] == 110, "what it took is told"


def test_parts_that_fit_no_result_are_no_plan(bench: Any, llm: Any) -> None:
    many = json.dumps({"parts": [{"title": "a", "prompt": "b" * 7000}] * 10})
    with pytest.raises(HandlerError, match=r"its parts are 7.,... bytes, at most 65,536"):
        bench.run(Plan(), "code.plan", {"goal": says(many)}, options={"llm": llm})


def test_a_task_asks_for_fewer_parts_and_never_for_more(bench: Any, llm: Any) -> None:
    goal = says(json.dumps({"parts": PARTS}))
    for asked, allowed in ((1, 20), (50, 1)):
        options = {"llm": llm, "max_parts": allowed}
        with pytest.raises(HandlerError, match="it has 2 parts; 1 to 1 are wanted"):
            bench.run(Plan(), "code.plan", {"goal": goal, "max_parts": asked}, options=options)


@pytest.mark.parametrize("payload", [{}, {"goal": " "}, {"prompt": ""}])
def test_without_a_goal_it_says_so(bench: Any, payload: Any) -> None:
    with pytest.raises(HandlerError, match="goal: say what is to be reached"):
        bench.run(Plan(), "code.plan", payload)


def test_without_a_model_it_says_what_is_missing(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("SWARM_CLIS", "/nowhere")
    with pytest.raises(
        HandlerError, match=r"nobody is there to plan: .*cli: claude.*; no model is configured"
    ) as caught:
        bench.run(Plan(), "code.plan", {"goal": "a house"})
    assert caught.value.code == "not-configured"


class Build:
    """Begins the workflow that plans, and does each part."""

    async def run(self, context: Context) -> Result:
        steps = {
            "plan": {"type": "code.plan", "payload": {"goal": "{inputs.goal}"}},
            "code": {
                "type": "say",
                "needs": ["plan"],
                "each": "{plan.result.parts}",
                "payload": {"prompt": "{item.prompt}"},
            },
        }
        workflow = {"workflow": "w", "inputs": {"goal": {}}, "steps": steps}
        return {"run_id": context.run(workflow, {"goal": context.payload["goal"]})}


class Anything(Struct):
    goal: str = ""
    prompt: str = ""


class Say:
    """Says what it was told."""

    Payload: ClassVar[type[Struct]] = Anything

    async def run(self, context: Context) -> Result:
        return {"did": context.payload["prompt"]}


def test_the_parts_of_a_plan_are_tasks_of_a_run(llm: Any) -> None:
    handlers = {"begin": Build, "code.plan": Plan, "say": Say}
    with testing.Swarm(handlers, specs={"code.plan": HandlerSpec(options={"llm": llm})}, workers=2) as swarm:
        run_id = swarm.run("begin", {"goal": says(json.dumps({"parts": PARTS}))}).result["run_id"]
        until(lambda: any(isinstance(event.body, RunEnded) for event in list(swarm.events)), 20, "the run's end")
        assert [swarm.wait(f"{run_id}.code.{at}").result for at in (0, 1)] == [
            {"did": "write door.py"},
            {"did": "write bell.py"},
        ]
