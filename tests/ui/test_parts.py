"""The pure parts of the screen: rows in order, columns, drafts, logs, little pictures."""

import os
import select
from collections.abc import Callable
from math import inf

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.agent.handlers import registry
from swarm_tui.config.model import HandlerSpec, RestartPolicy
from swarm_tui.domain.views import AgentView
from swarm_tui.protocol.codec import decode
from swarm_tui.ui.live.connect import types_of
from swarm_tui.ui.look.message_line import summary
from swarm_tui.ui.look.text import ago, amount, bar, beats, lateness, span, spark
from swarm_tui.ui.model.draft import (
    Draft,
    as_text,
    field_help,
    fields_of,
    parse_text,
    payload_of,
    read_value,
    task_of,
    values_from,
)
from swarm_tui.ui.model.filters import is_narrower, read_filter
from swarm_tui.ui.model.restarts import AwaitedRestarts, restart_time
from swarm_tui.ui.model.sorted_rows import SortedRows
from swarm_tui.ui.model.source import TaskType
from swarm_tui.ui.run import drop_typed_ahead
from swarm_tui.ui.screens.task import within
from swarm_tui.ui.widgets.agents import natural
from swarm_tui.ui.widgets.columns import Column, lay_out
from tests.ui.scenes import TYPES

REVIEW = TYPES[0]


class Texts:
    """Rows that are their own words."""

    def has(self, word: str, *, of_all: bool) -> Callable[[str], bool]:
        return lambda row: word in row.lower()

    def facts(self) -> dict[str, Callable[[str], str | None]]:
        return {}

    def heard(self, row: str) -> float | None:
        return None


def passes(text: str, words: str) -> bool:
    return read_filter(text).compiled(Texts(), 0.0, of_all=True)(words)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.one_of(st.none(), st.integers(0, 5)))))
def test_rows_stay_in_order_whatever_comes(changes: list[tuple[str, int | None]]) -> None:
    rows, plain = SortedRows(), {}
    for name, key in changes:
        rows.put(name, None if key is None else (key,))
        plain.pop(name, None) if key is None else plain.update({name: key})
    assert rows.ids() == sorted(plain, key=lambda name: (plain[name], name))
    assert [rows.index(name) for name in rows.ids()] == list(range(len(rows)))
    assert rows.index("zz") is None


_ROW = st.tuples(st.sampled_from("abcdefgh"), st.none() | st.tuples(st.integers(0, 3), st.none() | st.integers(0, 3)))


@given(
    st.lists(_ROW),
    st.lists(_ROW),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sets(st.sampled_from("abcdefgh")),
)
def test_rows_by_group_and_value_stay_in_order_and_only_those_that_pass_show(
    first: list[tuple[str, tuple[int, int | None] | None]],
    later: list[tuple[str, tuple[int, int | None] | None]],
    falls: bool,
    grouped: bool,
    narrow: bool,
    shown: set[str],
) -> None:
    plain = {name: row for name, row in first if row is not None}
    rows = SortedRows()
    rows.fill((name, (row[0],), (name, row[1])) for name, row in plain.items())

    def group(name: str) -> tuple[int, str]:
        return (0, "even" if ord(name) % 2 else "odd")

    rows.order_by(lambda row: row[1], (lambda row: group(row[0])) if grouped else None, falls=falls)
    rows.narrow([lambda row: row[0] in shown] if narrow else [])
    for name, row in later:
        before = rows.ids()
        plain.pop(name, None) if row is None else plain.update({name: row})
        key, value = (None, None) if row is None else ((row[0],), row[1])
        moved = rows.put(name, key, (name, value), value, group(name), passes=name in shown)
        assert moved or rows.ids() == before

    def rank(name: str) -> tuple[object, ...]:
        own, value = plain[name]
        placed = (value is None, 0 if value is None else -value if falls else value, own, name)
        return (group(name), placed) if grouped else placed

    assert rows.ids() == sorted((name for name in plain if not narrow or name in shown), key=rank)
    assert [rows.index(name) for name in rows.ids()] == list(range(len(rows)))
    begin = 0
    for label, end in rows.groups():
        assert {group(name) for name in rows.ids()[begin:end]} == {label}
        begin = end
    assert begin == (len(rows) if grouped else 0)


@given(st.lists(_ROW, max_size=20), st.sets(st.sampled_from("abcdefgh")), st.sets(st.sampled_from("abcdefgh")))
def test_rows_that_came_where_others_left_are_ordered_and_narrowed_like_all(
    changes: list[tuple[str, tuple[int, int | None] | None]], first: set[str], then: set[str]
) -> None:
    rows = SortedRows()
    plain: dict[str, tuple[int, int | None]] = {}
    for name, row in changes:
        rows.put(name, None if row is None else (row[0],), (name, row))
        plain.pop(name, None) if row is None else plain.update({name: row})

    def value(row: tuple[str, tuple[int, int | None]]) -> int | None:
        return row[1][1]

    rows.order_by(value, lambda row: (0, row[0] < "d"), falls=False)
    rows.narrow([lambda row: row[0] in first])
    rows.narrow([lambda row: row[0] in then], further=True)

    def rank(name: str) -> tuple[object, ...]:
        key, value = plain[name]
        return (name < "d", value is None, value or 0, key, name)

    wanted = sorted((name for name in plain if name in first & then), key=rank)
    assert rows.ids() == wanted
    assert [end for _, end in rows.groups()][-1:] == [len(wanted)][: len(wanted)]
    assert [name for name in "abcdefgh" if name in rows] == sorted(wanted)


@given(st.text("ab c:!", max_size=4), st.text("ab c:!", max_size=4), st.lists(st.text("abc ", max_size=5)))
def test_a_narrower_filter_lets_nothing_through_that_the_other_held(text: str, before: str, rows: list[str]) -> None:
    if is_narrower(text, before):
        assert all(passes(before, row) for row in rows if passes(text, row))


@given(
    st.integers(20, 250),
    st.lists(st.tuples(st.integers(1, 15), st.integers(0, 30), st.integers(0, 9)), min_size=1, max_size=12),
)
@settings(max_examples=200)
def test_columns_fit_any_width(width: int, shapes: list[tuple[int, int, int]]) -> None:
    columns = [Column(str(n), least, least + more, rank, lambda *_: []) for n, (least, more, rank) in enumerate(shapes)]
    laid = lay_out(columns, width)
    needed = sum(c.least + 1 for c in columns if c.rank == 0) - 1
    assert sum(size + 1 for _, size in laid) - 1 <= max(width, needed)
    assert [c.head for c, _ in laid] == sorted((c.head for c, _ in laid), key=int)


def test_missed_and_late_beats_show() -> None:
    on_time = [float(t) for t in range(0, 50, 10)]
    assert beats(on_time, 42.0, 5) == "•••••"
    assert beats([0.0, 10.0, 23.5], 24.0, 4) == " ••◦"
    assert beats([0.0, 10.0, 40.0], 41.0, 5) == "••××•"
    assert beats([0.0], 35.0, 4) == "•×××"


def test_a_gap_that_may_still_end_is_no_missed_beat() -> None:
    assert beats([0.0], 14.9, 3) == "  •"
    assert beats([0.0], 15.0, 3) == " •×"
    assert beats([0.0, 14.0], 15.0, 3) == " •◦"


def test_nobody_is_charged_for_the_time_in_which_we_had_no_link() -> None:
    away = [(12.0, 100.0)]
    assert beats([0.0, 10.0, 108.0], 110.0, 5, away) == "  •••"
    assert beats([0.0, 10.0], 90.0, 5, [(12.0, inf)]) == "   ••"
    assert beats([0.0, 10.0], 126.0, 5, away) == " ••××", "silent since the link is back"
    assert lateness([0.0, 10.0, 22.5, 108.0, 118.0], away) == [0.0, 0.0]
    assert lateness([0.0, 10.0, 22.5]) == [0.0, 2.5]


def test_small_pictures() -> None:
    assert bar(50, 4) == "██  "
    assert bar(0, 3) == "   "
    assert bar(250, 3) == "███"
    assert spark([1, 1, 1], 4) == " ▁▁▁"
    assert spark([0, 100], 2, 100) == "▁█"
    assert spark([30, 60], 2) == "▁█", "a leak climbs"
    assert max(spark([30, 32, 29, 31], 4)) < "▄", "a ripple is no mountain"
    assert [ago(s) for s in (0, 99, 100, 7200, 400_000)] == ["0s", "99s", "1m", "2h", "4d"]
    assert amount(22 * 1024 * 1024) == "22M"
    assert all(len(amount(10.0**n)) <= 4 for n in range(14))
    assert natural("a-2") < natural("a-10")


def test_filters() -> None:
    assert passes("Test 01", "testing-01 online")
    assert not passes("!test", "testing-01")
    assert passes("!", "anything")


def test_a_draft_is_checked_field_by_field() -> None:
    draft = Draft(type="code.review", values={"depth": "deeper", "limit": "0"})
    payload, wrong = payload_of(draft, REVIEW)
    assert set(wrong) == {"path", "depth", "limit"}
    draft.values = {"path": "src", "depth": "deep", "limit": "7"}
    task, wrong = task_of(draft, REVIEW, "task_1")
    assert wrong == {}
    assert task is not None
    assert task.payload == {"path": "src", "depth": "deep", "limit": 7}
    assert payload == {}


def test_raw_text_is_json_or_yaml_and_says_where_it_is_wrong() -> None:
    assert payload_of(Draft(type="x", raw='{"a": 1}'), None) == ({"a": 1}, {})
    assert payload_of(Draft(type="x", raw="a: [1, 2]\nb: c"), None) == ({"a": [1, 2], "b": "c"}, {})
    assert "line 2" in payload_of(Draft(type="x", raw="a: 1\nb: [}"), None)[1]["payload"]
    assert "object" in payload_of(Draft(type="x", raw="[1]"), None)[1]["payload"]
    assert task_of(Draft(type="x", raw="a: 2020-01-01"), None, "t")[0] is not None


def test_target_timeout_and_type_are_checked() -> None:
    _, wrong = task_of(Draft(type="bad type", raw="", target="no id!", timeout="never"), None, "t")
    assert set(wrong) == {"type", "target", "timeout"}


def test_a_field_says_what_to_write_and_what_nothing_means() -> None:
    schema = registry.schema("testing.run")
    assert [field_help(each) for each in fields_of(schema)] == [
        "folder, file or file::test, inside the workdir (empty: .)",
        "options of pytest, such as -k or --maxfail (a, b, c)",
        "with `head`: the git repository, inside the workdir (empty: .)",
        "the commit or branch to test, in a checkout of its own",
        "the tool (auto, cargo, go, nox, npm, pytest, tox; empty: auto)",
    ]
    assert all(len(field_help(each)) <= 66 for each in fields_of(schema)), "more than a form of 80 columns shows"


def test_what_was_typed_before_the_screen_is_no_act() -> None:
    person, inner = os.openpty()
    try:
        os.write(person, b"rQ\n")
        with open(inner, closefd=False) as terminal:
            assert select.select([inner], [], [], 5)[0], "it has come"
            drop_typed_ahead(terminal)
        assert not select.select([inner], [], [], 0)[0]
        with open(os.devnull) as none:
            drop_typed_ahead(none)
    finally:
        os.close(person)
        os.close(inner)


def test_a_type_says_what_its_handler_does() -> None:
    types = {each.name: each.summary for each in types_of(None)}
    assert types["testing.run"] == "Runs a project's tests: pytest, npm test, go test, cargo test, tox or nox."
    assert types["code.review"] == (
        "Gives approved, comments with file and line, suggestions, and what was skipped or is unchecked."
    )
    assert registry.about("site.build", HandlerSpec(command=["make", "site"])) == "Runs make, as the layout says."
    assert registry.about("nobody.does-it") == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.0, "0 ms"), (0.0002, "1 ms"), (0.012, "12 ms"), (0.4, "0.4 s"), (200.0, "3 min 20 s")],
)
def test_spans_to_read(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


def test_a_heartbeat_reads_as_the_agents_panel_does() -> None:
    beat = {"status": "alive", "uptime": 710.002, "memory": {"rss": 25_000_000, "percent": 1.0}}
    raw = msgspec.json.encode({"id": "1", "agent_id": "a", "payload": beat})
    event = decode("s", "s/agents/heartbeat", raw, False, 1.0)
    assert event is not None
    assert summary(event) == "alive uptime=11m memory=24M"


@given(st.text(max_size=30), st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "any"]))
def test_no_text_crashes_a_field(text: str, kind: str) -> None:
    schema = {"properties": {"x": {"type": kind}}}
    value, problem = read_value(fields_of(schema)[0], text)
    assert problem is None or value is None


@given(st.text(max_size=80))
def test_no_raw_text_crashes_the_form(text: str) -> None:
    task_of(Draft(type="x.y", raw=text), None, "t")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("mode: on\nat: 12:30:00\nday: 2026-01-02", {"mode": "on", "at": "12:30:00", "day": "2026-01-02"}),
        ("path: ${HOME}/x", {"path": "${HOME}/x"}),
        ('{"a": [1, true, null]}', {"a": [1, True, None]}),
        ("a: 1\na: 2", None),
        ("a: [", None),
    ],
)
def test_raw_text_is_read_as_layouts_are(text: str, value: object) -> None:
    read, problem = parse_text(text)
    assert read == value
    assert (problem is None) == (value is not None)
    assert problem is None or problem.startswith("line ")


def test_what_is_too_deep_or_no_number_at_all_is_a_mistake_like_others() -> None:
    for text in ("[" * 6000, '{"a":' * 6000, "\ud800"):
        assert task_of(Draft(type="x.y", raw=text), None, "t")[1].keys() == {"payload"}
    (number,) = fields_of({"properties": {"x": {"type": "number"}}})
    for text in ("nan", "inf", "-inf", "1e999"):
        assert read_value(number, text) == (None, "a number")
    assert read_value(number, "1e9") == (1e9, None)


def test_a_field_of_the_payload_is_not_taken_for_one_of_the_form() -> None:
    deploy = TaskType(
        name="d.d",
        schema={"properties": {"target": {"type": "string"}, "n": {"type": "integer"}}, "required": ["target"]},
    )
    _, wrong = task_of(Draft(type="d.d", target="not an id", values={"n": "many"}), deploy, "t")
    assert sorted(wrong) == ["payload.n", "payload.target", "target"]
    # What is no value yet is not lost on the way to raw text.
    assert msgspec.json.decode(as_text(Draft(type="d.d", values={"target": "x", "n": "many"}), deploy)) == {
        "target": "x",
        "n": "many",
    }


def test_a_payload_that_fields_cannot_hold_stays_raw() -> None:
    values, raw = values_from({"path": ".", "more": {"deep": 1}}, REVIEW)
    assert values == {}
    assert raw is not None
    assert '"deep": 1' in raw
    assert values_from({"path": ".", "limit": 3}, REVIEW) == ({"path": ".", "limit": "3"}, None)


def test_log_lines_of_a_span() -> None:
    lines = ["2026-01-01T00:00:00Z a", "  more of a", "2026-01-01T00:01:00Z b", "2026-01-01T00:02:00Z c"]
    start = 1_767_225_600.0
    assert within(lines, start + 30, start + 90) == ["2026-01-01T00:01:00Z b"]
    assert within(lines, start - 5, start + 5) == lines[:2]
    assert within(["no", "times"], 0, 1) is None


def test_a_restart_is_late_after_the_times_that_the_layout_gives() -> None:
    late_after = restart_time(RestartPolicy(drain_wait=120.0, term_wait=5.0))
    restarts, agent = (
        AwaitedRestarts(lambda act: f"<{act}>", late_after),
        AgentView(agent_id="docs-01", incarnation="one"),
    )
    restarts.expect([agent], 0.0)
    assert restarts.update({"docs-01": agent}, late_after) is None
    assert restarts.update({"docs-01": agent}, late_after + 1.0) == (
        "docs-01 is not back after 140 s: <logs> shows the log",
        True,
    )
