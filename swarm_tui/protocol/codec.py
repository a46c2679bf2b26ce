"""Bytes to Event or Rejected, and back: a tolerant reader and a strict writer."""

import re
from collections.abc import Callable
from sys import intern
from typing import Any

import msgspec

from swarm_tui.protocol import proof as proofs
from swarm_tui.protocol.bodies import BODY, Assigned, Body, Cleared, Inbox, Unknown
from swarm_tui.protocol.envelope import ANONYMOUS, Event, Rejected, parse_time
from swarm_tui.protocol.kind_groups import OF_WORK, PRESENCE
from swarm_tui.protocol.mend import TASKS, digest, snake
from swarm_tui.protocol.names import is_agent_id, is_run_id, is_task_id
from swarm_tui.protocol.proof import Proof, claimed
from swarm_tui.protocol.raw import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_VALUES,
    LateError,
    RefusedError,
    UnprovedError,
    check_numbers,
    has_long_number,
    parse_object,
)
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import COMMANDS, RETAINED, Kind, parse
from swarm_tui.protocol.versions import other_version
from swarm_tui.protocol.writer import COMMAND_LIFE, Writer, builtins

__all__ = ["COMMAND_LIFE", "MAX_BYTES", "MAX_DEPTH", "MAX_VALUES", "Writer", "builtins", "decode", "refusal"]

#: Tells who proved a message, from its kind, the name in its topic, its topic, its proof, and whom it speaks for;
#: `""` where nobody did nor had to. Raises RefusedError.
Judge = Callable[[Kind, str, str, Proof | None, str], str]

_NAMED = re.compile(rb'"agent_?[iI]d" ?: ?"([A-Za-z0-9_.:@-]{1,160})"')
_SENDER = re.compile(r"[A-Za-z0-9_.:@-]{1,160}")
#: What many messages say alike: one string of it is kept for all.
_ALIKE = ("agent_id", "type", "role")
#: Kinds whose topic names the one who speaks.
_SPEAKER_IN_TOPIC = frozenset({Kind.STATUS, Kind.QUERY, Kind.HOST_STATUS})
_PRESENCE = frozenset((*PRESENCE, Kind.STATUS))
#: Kinds whose body names the one who speaks.
_SPEAKER_IN_BODY = _PRESENCE | frozenset(OF_WORK)
#: Fields that hold an id of the sort that tasks have.
_IDS = {"task_id": "task", "message_id": "message", "reply_to": "message", "answer_id": "message", "claim_id": "claim"}
#: Fields of each body that hold a name.
_NAMES = {
    body: tuple(name for name in (*_IDS, "agent_id", "assigned_to", "run_id") if name in body.__struct_fields__)
    for body in BODY.values()
}
#: Kinds whose body may name an agent that is not the speaker.
_OTHERS_IN_BODY = frozenset(
    {Kind.HOST_CONTROL, Kind.ALERT, Kind.MESSAGE_DEAD, Kind.PATHS_CLAIMED, Kind.PATHS_REFUSED, Kind.PATHS_RELEASED}
)


def decode(
    swarm: str,
    full: str,
    raw: bytes,
    retained: bool,
    received: float,
    judge: Judge | None = None,
    proof: Proof | None = None,
) -> Event | Rejected | None:
    """Read one message; None when the topic is not the swarm's.

    `received` is the time of receipt, seconds since the epoch. Never raises, whatever the bytes. `judge` refuses what
    has to be proved and is not; without it nothing has to be. `proof` is the message's own, where it was read before.
    """
    address = parse(swarm, full)
    if address is None:
        return None
    try:
        if retained and address.kind not in RETAINED and address.kind is not Kind.OTHER:
            raise RefusedError("a retained copy on a topic that is not retained")
        if address.key and address.kind is not Kind.OTHER and not is_agent_id(address.key):
            raise RefusedError(f"{address.key[:80]!r} in the topic is not a name")
        if not raw and (address.kind in RETAINED or address.kind is Kind.OTHER):
            return _cleared(full, address.kind, address.key, retained, received)
        proof = proofs.split(raw) if judge is not None and proof is None else proof
        return _read(full, address.kind, address.key, raw, retained, received, judge, proof)
    except RefusedError as error:
        reason, unproved = str(error), isinstance(error, UnprovedError)
        late = error.message_id if isinstance(error, LateError) else ""
        hint = error.hint if isinstance(error, UnprovedError) else ""
    except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
        reason, unproved, late, hint = f"not readable ({type(error).__name__}: {error})", False, "", ""
    told = refused(full, raw, received, reason)
    return msgspec.structs.replace(told, unproved=unproved, late=clean(late), hint=clean(hint, 300))


def refused(full: str, raw: bytes, received: float, reason: str) -> Rejected:
    """Return what is told of a message that counts for nothing, for want of a proof."""
    return Rejected(
        topic=clean(full, 200),
        reason=clean(reason, 200),
        first=clean(raw[:120].decode("utf-8", "replace")),
        received=received,
        who=_claimed(raw),
        unproved=True,
    )


def _claimed(raw: bytes) -> str:
    """Return whom a message that was refused names as its sender, by its proof or near its beginning."""
    if issuer := claimed(raw):
        return clean(issuer, 160)
    named = _NAMED.search(raw, 0, 500)
    return "" if named is None else named[1].decode()


def refusal(swarm: str, full: str, raw: bytes, now: float) -> str | None:
    """Return why readers would refuse this message of ours (too big, too deep …); None when they take it."""
    read = decode(swarm, full, raw, False, now)
    return read.reason if isinstance(read, Rejected) else None


def _cleared(full: str, kind: Kind, key: str, retained: bool, received: float) -> Event:
    return Event(
        topic=clean(full),
        kind=kind,
        key=clean(key),
        id="",
        at=received,
        received=received,
        sender=key if kind in _SPEAKER_IN_TOPIC else ANONYMOUS,
        role=None,
        body=Cleared(),
        payload={},
        retained=retained,
    )


def _read(
    full: str,
    kind: Kind,
    key: str,
    raw: bytes,
    retained: bool,
    received: float,
    judge: Judge | None,
    proof: Proof | None,
) -> Event:
    long = len(raw) <= MAX_BYTES and has_long_number(raw)
    body = parse_object(raw, long=long)
    identity = _identity(full, kind, body, raw, received)
    bare = not isinstance(body.get("payload"), dict) or "task_id" in body or "taskId" in body
    payload = _payload(kind, body, identity, bare=bare)
    warnings: list[str] = []
    sender = _sender(kind, key, body, payload, warnings)
    at = parse_time(body.get("timestamp"))
    expires_at = None if bare and kind in TASKS else parse_time(body.get("expires_at"))
    role = body.get("role", payload.get("role"))
    typed = _typed(kind, key, sender, payload)
    if long:
        # Numbers are taken as text too, of any length.
        check_numbers(typed)
    speaks_for = _speaks_for(kind, typed, sender)
    if judge is not None and kind in _SPEAKER_IN_BODY and sender != speaks_for:
        # Some go by the one name, some by the other: whoever speaks must be allowed to use both.
        _judged(judge, kind, key, full, raw, proof, sender, body, payload)
    proved_by = "" if judge is None else _judged(judge, kind, key, full, raw, proof, speaks_for, body, payload)
    if kind in COMMANDS and kind not in RETAINED and expires_at is not None and expires_at < received:
        raise LateError(identity, _how_late(proved_by or sender, at, expires_at, received))
    return Event(
        topic=intern(clean(full)),
        kind=kind,
        key=intern(key if kind is not Kind.OTHER else clean(key)),
        id=clean(identity),
        at=received if at is None else at,
        received=received,
        sender=intern(sender),
        role=intern(clean(role, 64)) if isinstance(role, str) else None,
        body=typed,
        payload=payload,
        retained=retained,
        proved_by=proved_by,
        expires_at=expires_at,
        warnings=tuple(warnings),
    )


def _judged(
    judge: Judge,
    kind: Kind,
    key: str,
    full: str,
    raw: bytes,
    proof: Proof | None,
    who: str,
    body: dict[str, Any],
    payload: dict[str, Any],
) -> str:
    """Return who proved it. Raises UnprovedError, with what tells of another version where something does."""
    try:
        return judge(kind, key, full, proof, who)
    except UnprovedError as error:
        raise UnprovedError(str(error), other_version(kind, key or who, raw, body, payload)) from None


def _how_late(who: str, at: float | None, expires_at: float, received: float) -> str:
    """Return why a command comes too late, with whose clock may be off and by how much."""
    late = f"a command of {clean(who, 160)} that expired {received - expires_at:.0f} s ago"
    return (
        late if at is None else f"{late}: that clock is {received - at:.0f} s behind the one here, or it came so late"
    )


def _speaks_for(kind: Kind, body: Body, sender: str) -> str:
    """Return for whom it is said; empty where it is the dispatcher's word on who does a task."""
    if isinstance(body, Assigned) and body.epoch is not None:
        return ""
    return sender if kind in _OTHERS_IN_BODY else getattr(body, "agent_id", None) or sender


def _payload(kind: Kind, body: dict[str, Any], identity: str, *, bare: bool) -> dict[str, Any]:
    """Return the payload under its snake-case names; of a `bare` message the body is the payload."""
    payload = snake(kind, body if bare else body["payload"], identity)
    if kind in TASKS and isinstance(key_there := body.get("idempotencyKey", body.get("idempotency_key")), str):
        # The camel-case dialect keys a task in its envelope.
        payload.setdefault("idempotency_key", key_there)
    for name in _ALIKE:
        if type(payload.get(name)) is str:
            payload[name] = intern(payload[name])
    return payload


def _identity(full: str, kind: Kind, body: dict[str, Any], raw: bytes, received: float) -> str:
    """Return the message's id, or a hash that stands for it."""
    identity = body.get("id")
    if isinstance(identity, str) and 0 < len(identity) <= 128:
        return identity
    # What is retained is heard again at each connect, and is the same message then.
    when = b"" if kind in RETAINED else b"%f" % received
    return digest(b"%b\0%b\0%b" % (full.encode("utf-8", "replace"), raw, when))


def _sender(kind: Kind, key: str, body: dict[str, Any], payload: dict[str, Any], warnings: list[str]) -> str:
    claims = [body.get("agent_id", body.get("agentId")), payload.get("agent_id")]
    if kind in _SPEAKER_IN_TOPIC:
        if kind is Kind.STATUS and any(isinstance(claim, str) and claim != key for claim in claims):
            warnings.append("the sender it claims is not the one its topic names")
        claims.insert(0, key)
    elif kind in _SPEAKER_IN_BODY and all(isinstance(claim, str) for claim in claims) and claims[0] != claims[1]:
        warnings.append("envelope and payload name different senders")
    for claim in claims:
        if isinstance(claim, str) and claim:
            if (is_agent_id if kind in _PRESENCE else _SENDER.fullmatch)(claim):
                return claim
            if kind in _PRESENCE:
                raise RefusedError(f"{claim[:80]!r} is not an agent id")
            warnings.append("a sender that is no name")
    return ANONYMOUS


def _typed(kind: Kind, key: str, sender: str, payload: dict[str, Any]) -> Body:
    if kind is Kind.OTHER:
        return Unknown()
    body_type = BODY[kind]
    known = payload
    if None in payload.values():
        known = {name: value for name, value in payload.items() if value is not None or name == "result"}
    if kind not in _OTHERS_IN_BODY and "agent_id" in _NAMES[body_type]:
        if kind is Kind.STATUS:
            known = {**known, "agent_id": key}
        elif sender != ANONYMOUS and not known.get("agent_id"):
            known = {**known, "agent_id": sender}
    try:
        body = msgspec.convert(known, body_type, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        raise RefusedError(f"{kind.value}: {error}") from None
    _check_names(kind, body)
    return body


def _check_names(kind: Kind, body: Body) -> None:
    for holder in (body, body.task) if isinstance(body, Inbox) and body.task is not None else (body,):
        for field in _NAMES[type(holder)]:
            name = getattr(holder, field)
            if field in _IDS:
                if isinstance(name, str) and not is_task_id(name):
                    raise RefusedError(f"{name[:80]!r} is not a {_IDS[field]} id")
            elif field == "run_id":
                if isinstance(name, str) and not is_run_id(name):
                    raise RefusedError(f"{name[:80]!r} is not a run id")
            elif name and not is_agent_id(name):
                raise RefusedError(f"{name[:80]!r} is not an agent id")
    if kind in _PRESENCE and not getattr(body, "agent_id", None):
        raise RefusedError(f"{kind.value}: names no agent")
