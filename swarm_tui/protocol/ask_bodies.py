"""Payloads of the asks: what an AI agent needs a yes for, a person's answer, and that it is written down."""

from typing import Literal

from swarm_tui.protocol.base_body import Body, JsonObject
from swarm_tui.protocol.topics import Kind

Outcome = Literal["allow", "deny", "always"]


class Ask(Body, frozen=True, kw_only=True):
    """Body of asks/<id>: may this be done? `expires_at` is seconds since the epoch; silence until then is a no."""

    ask_id: str
    task_id: str
    agent_id: str = ""
    attempt: int | None = None
    epoch: int | None = None
    tool: str = ""
    title: str = ""
    input: JsonObject = {}
    diff: str | None = None
    """The change as a unified diff."""
    options: tuple[Outcome, ...] = ("allow", "deny", "always")
    rule: str = ""
    """The rule for which an answer of `always` stands."""
    expires_at: float | None = None


class AskAnswer(Body, frozen=True, kw_only=True):
    """Body of asks/<id>/answer: an operator's answer. `always` allows what the ask's `rule` says, for this task."""

    outcome: Outcome
    reason: str = ""
    by: str = ""
    """The name of the person who answers, where the sender speaks for one."""


class AskRecorded(Body, frozen=True, kw_only=True):
    """Body of asks/<id>/recorded: the dispatcher has written the answer down; only now it counts."""

    ask_id: str
    task_id: str
    agent_id: str = ""
    attempt: int | None = None
    outcome: Outcome
    reason: str = ""
    by: str = ""
    """The identity of who answered; empty where nobody did."""
    kept: bool = False
    """No attempt waits for it: it is for the next one that asks the same, not for the one that asked."""


ASK_BODY: dict[Kind, type[Body]] = {
    Kind.ASK: Ask,
    Kind.ASK_ANSWER: AskAnswer,
    Kind.ASK_RECORDED: AskRecorded,
}
