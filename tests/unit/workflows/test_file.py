"""Workflow files: found by name, and each mistake at its place."""

import json
from pathlib import Path

import pytest

from swarm_tui.config.errors import ConfigError
from swarm_tui.config.load import shipped_layouts
from swarm_tui.config.workflows import find_workflow, known_workflows, load_workflow, workflow_file, workflow_schema

W = "workflow: w\nsteps:\n  "
SHIPPED = sorted((shipped_layouts().parent / "workflows").glob("*.yml"))


def mistakes(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "w.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_workflow(path, "w.yml")
    return str(caught.value).splitlines()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_has_no_mistakes_and_says_what_it_does(path: Path) -> None:
    workflow = load_workflow(path).workflow
    assert workflow.workflow == path.stem
    assert workflow.description
    assert all(wanted.default is not None for wanted in workflow.inputs.values()), "it runs as it is"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "w.yml:1:1: the file is empty"),
        ("workflow: w\n", "w.yml:1:1: `steps` is missing"),
        ("workflow: w\nsteps: {}\n", "w.yml:2:1: a workflow has at least one step"),
        (
            W + "a: {type: noop, neds: [b]}\n",
            "w.yml:3:19: unknown key `neds`; did you mean `needs`?",
        ),
        (W + "a: {type: 'no op'}\n", "w.yml:3:7: 'no op' is not a task type"),
        (W + "a: {type: noop, needs: [b]}\n", "w.yml:3:27: no step `b`"),
        (W + "a: {type: noop, needs: [a]}\n", "w.yml:3:19: a cycle: a needs a"),
        (
            W + "a: {type: noop, needs: [c]}\n  b: {type: noop, needs: [a]}\n  c: {type: noop, needs: [b]}\n",
            "w.yml:3:19: a cycle: a needs c needs b needs a",
        ),
        (W + "a.b: {type: noop}\n", "w.yml:3:3: `a.b` is no step's name"),
        ("workflow: w\nsteps:\n  item: {type: noop}\n", "w.yml:3:3: `item` is no step's name"),
        (W + "a: {type: noop, on: failure}\n", "w.yml:3:19: `on: failure` says nothing"),
        (W + "a: {type: noop, on: maybe}\n", "w.yml:3:19: `on`: `maybe` is none of"),
        (W + "a: {type: noop, retry: {max_attempts: 0}}\n", "w.yml:3:27: max_attempts: 1 to 100"),
        (W + "a: {type: noop, when: 'yes'}\n", "w.yml:3:19: `when`: `yes` is no reference"),
        (W + "a: {type: noop, payload: {x: '{1 + 1}'}}\n", "w.yml:3:29: `{1 + 1}` is no reference"),
        (W + "a: {type: noop, payload: {x: '{'}}\n", "w.yml:3:29: a single `{`"),
        (
            W + "a: {type: noop, payload: {x: ['{inputs.y}']}}\n",
            "w.yml:3:33: {inputs.y}: no input `y`",
        ),
        (
            W + "a: {type: noop, payload: {x: '{item.y}'}}\n",
            "only the payload of a step with `each`",
        ),
        (
            W + "a: {type: noop, payload: {x: {b.result}}}\n",
            "w.yml:3:29: a reference without quotes",
        ),
        (
            W + "a: {type: noop}\n  b: {type: noop, payload: {x: '{a.result}'}}\n",
            "w.yml:4:29: {a.result}: `a` is not among what this step needs",
        ),
        (
            "workflow: w\ninputs: {x: {type: integer, default: no}}\nsteps: {a: {type: noop}}\n",
            "`default` is no integer",
        ),
    ],
)
def test_each_mistake_has_its_place_and_its_sentence(tmp_path: Path, text: str, says: str) -> None:
    assert says in "\n".join(mistakes(tmp_path, text))


@pytest.mark.parametrize("text", ["workflow: w\n", "workflow: w\nsteps: [1]\n", "steps: 3\n"])
def test_a_mistake_of_shape_is_told_in_our_words_alone(tmp_path: Path, text: str) -> None:
    assert not [line for line in mistakes(tmp_path, text) if "Expected" in line]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = W + "a: {type: noop, needs: [x]}\n  b: {type: noop, when: 'y', payload: {z: '{a.result}'}}\n"
    assert len(mistakes(tmp_path, text)) == 3


def test_a_workflow_is_found_by_name_in_the_project_first(tmp_path: Path) -> None:
    own = tmp_path / "workflows" / "ship.yml"
    own.parent.mkdir()
    own.write_text("workflow: ship\nsteps: {a: {type: noop}}\n")
    assert find_workflow("ship", tmp_path) == own
    assert known_workflows(tmp_path)["nightly"][0] == "shipped"
    with pytest.raises(ConfigError, match="did you mean"):
        find_workflow("shipp", tmp_path)
    with pytest.raises(ConfigError, match="no such file"):
        find_workflow("n" * 300 + ".yml", tmp_path)


def test_a_layout_is_not_taken_for_a_workflow() -> None:
    assert workflow_file(str(shipped_layouts() / "small.yml")) is None
    assert workflow_file("ship") is not None


def test_the_schema_is_one_that_editors_read() -> None:
    schema = json.loads(json.dumps(workflow_schema()))
    assert set(schema["$defs"]["Step"]["properties"]) >= {"type", "needs", "each", "when", "on", "payload"}
