"""Proofs hold for what was said, and for nothing else."""

import hmac
import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.protocol import proof

KEY, OTHER = b"k" * 32, b"o" * 32
objects = st.dictionaries(
    st.text(min_size=1, max_size=8), st.one_of(st.integers(), st.text(max_size=20), st.none()), min_size=1, max_size=5
).map(lambda value: json.dumps(value).encode())
topics = st.from_regex(r"[a-z]{1,8}(/[a-z0-9]{1,8}){0,3}", fullmatch=True)


def signed(raw: bytes, topic: str, key: bytes = KEY, who: str = "a") -> bytes:
    return proof.attach(raw, "swarm", [(who, proof.mac(key, "order", topic, proof.signed_part(raw)))])


@given(objects, topics)
def test_what_was_proved_is_read_as_it_was_and_holds(raw: bytes, topic: str) -> None:
    whole = signed(raw, topic)
    found = proof.split(whole)
    assert found is not None
    assert found.issuer == "swarm"
    assert proof.holds(found, "a", KEY, "order", topic)
    read = json.loads(whole)
    said = read.pop("proof")
    assert said.startswith("swarm a=")
    assert read == json.loads(raw) or "proof" in json.loads(raw)


@given(objects, topics, st.data())
def test_no_byte_can_be_changed(raw: bytes, topic: str, data: st.DataObject) -> None:
    whole = signed(raw, topic)
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    changed = whole[:at] + bytes([byte]) + whole[at + 1 :]
    found = proof.split(changed)
    # The issuer only says which key to look for: another name leads to another key.
    assert found is None or found.issuer != "swarm" or not proof.holds(found, "a", KEY, "order", topic)


@given(objects, topics, topics)
def test_neither_another_topic_nor_purpose_nor_key_nor_verifier(raw: bytes, topic: str, other: str) -> None:
    found = proof.split(signed(raw, topic))
    assert found is not None
    assert topic == other or not proof.holds(found, "a", KEY, "order", other)
    assert not proof.holds(found, "a", KEY, "word", topic)
    assert not proof.holds(found, "a", OTHER, "order", topic)
    assert not proof.holds(found, "b", KEY, "order", topic)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_raising(raw: bytes) -> None:
    assert proof.split(raw) is None or b'"proof"' in raw


@given(st.binary(max_size=200))
def test_any_tail_is_read_without_raising(tail: bytes) -> None:
    proof.split(b'{"a":1,"proof":"' + tail + b'"}')


def test_a_payload_that_ends_like_a_proof_is_signed_as_a_whole() -> None:
    raw = b'{"payload":{"proof":"swarm a=AAAAAAAAAAAAAAAAAAAAAA"}}'
    assert proof.split(raw) is None
    assert proof.split(signed(raw, "t")) is not None


@given(objects, topics, st.text(st.characters(codec="ascii"), min_size=1, max_size=40), st.booleans())
def test_no_member_is_smuggled_in_behind_a_proof(raw: bytes, topic: str, text: str, shaped: bool) -> None:
    whole = signed(raw, topic)
    evil = f' ","payload":{text},"x":"y=' if shaped else f" {text}="
    changed = b'%b%b%b"}' % (whole[:-2], evil.encode(), b"A" * 22)
    found = proof.split(changed)
    if found is not None and proof.holds(found, "a", KEY, "order", topic):
        # It only names another verifier: what is read is what was signed, if anything is.
        try:
            read = json.loads(changed)
        except ValueError:
            return
        assert read.pop("proof")
        assert read == {name: value for name, value in json.loads(raw).items() if name != "proof"}


@given(st.binary(max_size=64), st.text(max_size=20), st.text(max_size=20), st.binary(max_size=300))
def test_a_mac_is_hmac_sha256(key: bytes, purpose: str, topic: str, said: bytes) -> None:
    whole = hmac.digest(key, b"\0".join((purpose.encode(), topic.encode(), said)), "sha256")
    assert proof.mac(key, purpose, topic, said) == urlsafe_b64encode(whole[:16]).rstrip(b"=")


@pytest.mark.parametrize("value", [b'x"' + 20 * b"y", b"x\\" + 20 * b"y", 21 * b"y" + b'"'])
@pytest.mark.parametrize("before", [b"", b"other=" + 22 * b"z" + b" "])
def test_a_mac_that_would_end_the_proofs_text_makes_it_none(value: bytes, before: bytes) -> None:
    for mac, is_one in ((22 * b"y", True), (value, False)):
        found = proof.split(b'{"id":"1","proof":"agent:a@h %bswarm=%b"}' % (before, mac))
        assert (found is not None) is is_one


def test_derived_keys_are_each_their_own() -> None:
    keys = {proof.derive(KEY, *words) for words in (("a",), ("b",), ("a", "b"), ("a\0b",), ("ab",))}
    # A NUL cannot be in a name, which is why the words ("a", "b") may be joined by one.
    assert len(keys) == 4
