"""References: looked up in what there is, and never anything else."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.domain.workflows.references import ReferenceMistake, parse, resolve

VALUES: dict[str, Any] = {"a": {"result": {"n": 1, "list": [{"x": 1}, {"x": 2}], "text": "t", "gone": None}}}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{a.result.n}", 1),
        ("n={a.result.n}", "n=1"),
        ("{a.result.list.1.x}", 2),
        ("{a.result.list.x}", [1, 2]),
        ("all: {a.result.list.x}", "all: [1,2]"),
        ("{a.result.text}{a.result.text}", "tt"),
        ("{a.result.gone}", None),
        ("{{a.result.n}}", "{a.result.n}"),
        ("{{}}", "{}"),
        ("", ""),
    ],
)
def test_a_reference_becomes_what_it_refers_to(text: str, value: Any) -> None:
    assert resolve({"k": [text]}, VALUES.__getitem__) == {"k": [value]}


@pytest.mark.parametrize("text", ["{a.result.no}", "{a.result.n.m}", "{a.result.list.9}", "{a.result.list.y}"])
def test_a_reference_to_nothing_says_what_there_is(text: str) -> None:
    with pytest.raises(ReferenceMistake, match="has no"):
        resolve(text, VALUES.__getitem__)


@pytest.mark.parametrize(
    "text", ["{", "}", "{}", "{a b}", "{a()}", "{a..b}", "{{a}", "{__import__('os')}", "{a.result[0]}"]
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ReferenceMistake):
        parse(text)


@given(json_values)
def test_what_a_value_holds_is_never_read_as_a_reference(value: Any) -> None:
    assert resolve({"k": "{a.v}"}, {"a": {"v": value}}.__getitem__) == {"k": value}


@given(st.text(alphabet="ab{}. ", max_size=30))
def test_any_text_is_parsed_or_refused_with_a_sentence(text: str) -> None:
    with suppress(ReferenceMistake):
        assert parse(text)


@given(st.text(max_size=40))
def test_doubled_braces_give_any_text_back(text: str) -> None:
    assert resolve(text.replace("{", "{{").replace("}", "}}"), VALUES.__getitem__) == text
