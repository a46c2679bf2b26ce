"""The line that tells what a message says: in the stream, on a page, and by `history` on a terminal."""

from collections.abc import Mapping
from typing import Any

from swarm_tui.domain.outcome import outcome, verdict_failed
from swarm_tui.protocol.bodies import Inbox
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.mail_bodies import (
    MessageAccepted,
    MessageAnswered,
    MessageDead,
    MessageNew,
    MessageReceipt,
    MessageRejected,
    PathsClaim,
    PathsClaimed,
    PathsRefused,
    PathsReleased,
)
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.look.text import ago, amount, span

#: How what a kind tells is: good, bad, to be heeded, or of no weight.
_STYLE = {
    "tasks/complete": "ok", "tasks/failed": "bad", "tasks/dead": "bad", "tasks/held": "warn", "tasks/rejected": "bad",
    "tasks/retrying": "warn", "tasks/cancelled": "warn", "tasks/declined": "warn", "alerts": "warn", "halt": "bad",
    "messages/rejected": "bad", "messages/dead": "warn", "messages/delivered": "quiet", "messages/read": "quiet",
    "paths/refused": "warn", "agents/heartbeat": "quiet", "tasks/progress": "quiet", "agents/shutdown": "warn",
}  # fmt: skip
#: Payload fields that the line says by itself, or that say too little for a line.
_DULL = frozenset(
    {"agent_id", "role", "v", "task_id", "status", "incarnation", "timestamp", "epoch", "started_at", "capacity", "pid",
     "active", "position", "claimed_at", "completed_at", "failed_at", "host"}
)  # fmt: skip


def summary(message: Event | Rejected) -> str:
    """Return what the message says, in a line."""
    if isinstance(message, Rejected):
        return f"refused: {message.reason}  {message.first}"
    payload: Mapping[str, Any] = message.payload
    if told := _mail(message):
        return told
    words = [str(payload["task_id"])] if isinstance(payload.get("task_id"), str) else []
    if ended_badly(message):
        words.append(f"✗ {outcome(payload.get('result'))}")
    elif isinstance(payload.get("status"), str):
        words.append(payload["status"])
    for name, value in payload.items():
        if name in _DULL or value in (None, "", False, [], {}):
            continue
        words.append(f"{name}={_measure(message.kind, name, value) or _short(value)}")
        if len(words) > 8:
            break
    return " ".join(words)


def _mail(message: Event) -> str:
    """Return what a message of mail or about paths says; empty for any other."""
    body = message.body
    match body:
        case Inbox(message=MessageNew() as mail):
            return _mail_of("mail from", mail, mail.sender)
        case MessageNew():
            return _mail_of("to", body, body.to or "who asked")
        case MessageAccepted():
            return f"{body.message_id} from {body.sender} to {body.to}"
        case MessageReceipt():
            return f"{body.message_id} {'by' if message.kind is Kind.MESSAGE_READ else 'to'} {body.agent_id}"
        case MessageAnswered():
            return f"{body.message_id} by {body.sender}: {body.text}"
        case MessageRejected():
            return f"{body.message_id} {body.reason}"
        case MessageDead():
            return f"{body.message_id} to {body.agent_id or 'nobody'}: {body.reason}"
        case PathsClaim() | PathsClaimed():
            return f"{body.task_id} {', '.join(body.paths)}"
        case PathsReleased():
            return f"{body.task_id} {', '.join(body.paths)} ({body.reason})"
        case PathsRefused():
            return f"{body.task_id} {body.reason}"
    return ""


def _mail_of(word: str, message: MessageNew, who: str | None) -> str:
    answers = (
        f" (answers {message.reply_to})" if message.reply_to else " (wants an answer)" if message.expects_answer else ""
    )
    return f"{word} {who or '?'}{answers}: {message.text}"


def is_heartbeat(message: Event | Rejected) -> bool:
    """Tell whether an agent or a host says only that it lives: what changes on a host, its agents say too."""
    if isinstance(message, Rejected):
        return False
    if message.kind is Kind.HOST_STATUS:
        return message.payload.get("status") == "online"
    return message.kind is Kind.HEARTBEAT


def ended_badly(message: Event) -> bool:
    """Tell whether it tells of a task that ran to its end and came out badly."""
    return message.kind is Kind.TASK_COMPLETE and verdict_failed(message.payload.get("result"))


def style_of(message: Event | Rejected) -> str:
    """Return the name of the style in which what it tells is shown."""
    if isinstance(message, Rejected):
        return "bad"
    return "warn" if ended_badly(message) else _STYLE.get(message.kind.value, "topic")


def _measure(kind: Kind, name: str, value: object) -> str:
    """Return what agents say of themselves all the time, in the units of the agents panel, and how long tasks took;
    empty for anything else."""
    if name == "duration" and kind in (Kind.TASK_COMPLETE, Kind.TASK_FAILED) and isinstance(value, int | float):
        return span(value / 1000)
    if name == "uptime" and isinstance(value, int | float):
        return ago(value)
    if name == "memory" and isinstance(value, dict) and isinstance(rss := value.get("rss"), int | float):
        return amount(rss)
    return ""


def _short(value: object) -> str:
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        return str(value["message"])[:80]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return f"[{len(value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {str(inner)[:40]}" for name, inner in list(value.items())[:4]) + "}"
    return str(value)[:80]
