"""Whatever comes, the reader answers; whatever is written, the reader reads."""

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.protocol.bodies import BODY, Body, Inbox, Queued, Task
from swarm_tui.protocol.codec import Writer, decode, refusal
from swarm_tui.protocol.dialects import decode_foreign
from swarm_tui.protocol.envelope import Event, Rejected, parse_time, rfc3339
from swarm_tui.protocol.mail_bodies import (
    MessageDead,
    MessageNew,
    MessageReceipt,
    PathsClaimed,
    PathsRefused,
    PathsRelease,
)
from swarm_tui.protocol.names import is_agent_id, is_task_id
from swarm_tui.protocol.run_bodies import RunNew
from swarm_tui.protocol.text import clean, clean_block
from swarm_tui.protocol.topics import Kind, matches, parse, topic
from tests.examples import examples

NOW = 1_771_000_000.0
KINDS = [kind for kind in Kind if kind is not Kind.OTHER]

agent_ids = st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True)
task_ids = st.from_regex(r"[A-Za-z0-9_.:-]{1,128}", fullmatch=True)
#: Lone surrogates too, which files' names can hold.
any_text = st.text(st.characters(exclude_categories=()), max_size=30)
numbers = st.integers() | st.floats() | st.just(10**400) | st.just(-(10**400))
anything = st.recursive(
    st.none() | st.booleans() | numbers | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
field_names = sorted(
    {name for body in BODY.values() for name in body.__struct_fields__}
    | {"payload", "id", "timestamp", "agentId", "taskId", "taskType", "input", "output", "leaseMs", "idempotencyKey"}
    | {"uptimeSec", "load", "artifacts", "v", "expiresAt", "notBefore", "claimedAt"}
)
bodies = st.dictionaries(st.sampled_from(field_names), anything | task_ids, max_size=8)
envelopes = st.builds(lambda outer, payload: {**outer, "payload": payload}, bodies, bodies) | bodies
topics = st.sampled_from([topic("s", kind, "a1") for kind in KINDS]) | any_text.map(lambda text: f"s/{text}") | any_text


@given(topics, st.binary(max_size=300) | any_text.map(lambda t: t.encode("utf-8", "surrogatepass")), st.booleans())
def test_any_bytes_on_any_topic_are_answered(full: str, raw: bytes, retained: bool) -> None:
    heard = decode("s", full, raw, retained, NOW)
    assert heard is None or isinstance(heard, Event | Rejected)
    assert (heard is None) == (not full.startswith("s/"))


@settings(max_examples=examples(150))
@given(st.sampled_from(KINDS), envelopes, st.booleans())
def test_any_object_on_any_topic_is_answered(kind: Kind, body: dict[str, Any], retained: bool) -> None:
    raw = json.dumps(body).encode()
    heard = decode("s", topic("s", kind, "a1"), raw, retained, NOW)
    assert heard is not None
    if isinstance(heard, Event):
        assert clean(heard.topic) == heard.topic
        assert clean(heard.id) == heard.id
        for name, legal in (("task_id", is_task_id), ("agent_id", is_agent_id)):
            value = getattr(heard.body, name, None)
            assert value is None or value == "" or legal(value)
        assert 0 <= heard.at < 1e11
        rfc3339(heard.at)
    else:
        assert clean(heard.reason) == heard.reason
        assert clean(heard.first) == heard.first
    decode_foreign("s", f"s/_a/x/workspace/w/{kind.value}", raw, retained, NOW)
    decode_foreign("s", f"s/_a/x/{kind.value}", raw, retained, NOW)


run_ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=6,
)
json_objects = st.dictionaries(any_text, json_values, max_size=3)
times = st.floats(0, 4e9).map(lambda t: round(t, 3))


def strategy_for(body: type[Body]) -> st.SearchStrategy[Body]:
    """Bodies as our own writers make them: legal names, times of this epoch, JSON in the free fields."""
    named: dict[str, st.SearchStrategy[Any]] = {
        "task_id": task_ids,
        "message_id": task_ids,
        "answer_id": task_ids,
        "claim_id": task_ids,
        "agent_id": agent_ids,
        "assigned_to": agent_ids | st.none(),
        "run_id": run_ids,
        "workflow": json_objects if body is RunNew else any_text,
        "inputs": json_objects,
        "payload": json_objects,
        "args": json_objects,
        "usage": json_objects,
        "memory": json_objects,
        "result": json_values,
        "not_before": times | st.none(),
        "expires_at": times | st.none(),
        "started_at": times | st.none(),
        "rows": st.lists(json_values, max_size=3),
        "tasks": st.lists(json_objects, max_size=2),
        "finished": st.lists(json_objects, max_size=2),
        "events": st.lists(json_objects, max_size=2),
    }
    if body is Queued:
        named["run_id"] = run_ids | st.none()
    if body is Inbox:
        named |= {"task": st.none() | strategy_for(Task), "task_id": task_ids | st.none()}
        named |= {"message": st.none() | strategy_for(MessageNew), "answer": st.none() | json_objects}
    if body is PathsRelease:
        named["claim_id"] = task_ids | st.none()
    if body in (MessageNew, MessageReceipt):
        named |= {"task_id": task_ids | st.none(), "reply_to": task_ids | st.none(), "at": times | st.none()}
    if body is MessageDead:
        named["agent_id"] = agent_ids | st.none()
    if body in (PathsClaimed, PathsRefused):
        named["since"] = times
    chosen = {name: made for name, made in named.items() if name in body.__struct_fields__}
    for field in msgspec.structs.fields(body):
        if field.name in ("claimed_at", "completed_at", "failed_at"):
            chosen[field.name] = st.none() | times.map(rfc3339)
        elif field.type is float:
            chosen.setdefault(field.name, st.floats(0, 1e9))
        elif field.type == float | None:
            chosen.setdefault(field.name, st.floats(0, 1e9) | st.none())
        elif field.type is int:
            chosen.setdefault(field.name, st.integers(-(2**53), 2**53))
        elif field.type == int | None:
            chosen.setdefault(field.name, st.integers(-(2**53), 2**53) | st.none())
    return st.builds(body, **chosen)


@settings(max_examples=examples(150))
@given(st.data(), st.sampled_from(KINDS), st.floats(0, 4e9))
def test_what_the_writer_says_the_reader_reads(data: st.DataObject, kind: Kind, now: float) -> None:
    body = data.draw(strategy_for(BODY[kind]))
    writer = Writer("opencto/workspace/ws1", "a1", "docs", new_id=lambda: "m1", clock=lambda: now)
    message = writer.message(kind, body, "a1" if "+" in kind.value else "")
    heard = decode("opencto/workspace/ws1", message.topic, message.payload, False, now)
    assert isinstance(heard, Event), heard
    assert (heard.id, heard.kind, heard.role) == ("m1", kind, "docs")
    assert abs(heard.at - now) < 0.001
    assert scrub(msgspec.to_builtins(named(heard.body))) == scrub(msgspec.to_builtins(named(body)))
    assert refusal("opencto/workspace/ws1", message.topic, message.payload, now) is None


def named(body: Body) -> Body:
    """Who speaks is filled in by the reader where the writer left it out: by the topic or the envelope."""
    fields = body.__struct_fields__
    if "agent_id" in fields and (not getattr(body, "agent_id", "") or hasattr(body, "ephemeral")):
        return msgspec.structs.replace(body, agent_id="a1")
    return body


def scrub(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {scrub(name): scrub(inner) for name, inner in value.items() if inner is not None}
    return [scrub(inner) for inner in value] if isinstance(value, list) else value


@given(any_text)
def test_clean_text_is_one_printable_line(text: str) -> None:
    shown = clean(text)
    assert "\x1b" not in shown
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or 0x202A <= ord(c) <= 0x202E for c in shown)
    assert clean(shown) == shown
    assert "\x1b" not in clean_block(text)


@given(st.floats(0, 9e10))
def test_times_survive_the_wire(seconds: float) -> None:
    back = parse_time(rfc3339(seconds))
    assert back is not None
    assert abs(back - seconds) < 0.002


@given(st.one_of(anything, any_text))
def test_any_time_is_read_or_none(value: object) -> None:
    seconds = parse_time(value)
    assert seconds is None or 0 <= seconds < 1e11


@given(st.sampled_from(KINDS), agent_ids)
def test_topics_are_parsed_as_they_are_made(kind: Kind, key: str) -> None:
    address = parse("a/b", topic("a/b", kind, key))
    assert address is not None
    assert (address.kind, address.key) == (kind, key if "+" in kind.value else "")
    assert matches("a/b/#", topic("a/b", kind, key))
    assert matches(f"a/b/{kind.value}", topic("a/b", kind, key))
