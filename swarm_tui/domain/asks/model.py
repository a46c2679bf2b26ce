"""An ask and its answer, as a handler and the dispatcher know them. Pure."""

from typing import Any, Literal

from msgspec import Struct

Outcome = Literal["allow", "deny", "always"]


class Question(Struct, frozen=True, kw_only=True):
    """A wish of an AI agent: the tool, a title, its input, the change as a unified diff where there is one."""

    tool: str
    title: str
    input: dict[str, Any] = {}
    diff: str | None = None
    rule: str = ""
    """The rule that an answer of `always` stands for."""


class AskAnswer(Struct, frozen=True, kw_only=True):
    """The answer to an ask: `by` is who gave it, as an identity; empty where nobody did."""

    outcome: Outcome
    reason: str = ""
    by: str = ""


class AskRecord(Struct, kw_only=True, omit_defaults=True):
    """A wish of an AI agent's, and what became of it. Wall times; `outcome` is empty while nobody has answered."""

    ask_id: str
    agent_id: str
    attempt: int
    tool: str
    title: str
    input: dict[str, Any] = {}
    diff: str | None = None
    rule: str = ""
    asked_at: float = 0.0
    expires_at: float = 0.0
    outcome: str = ""
    by: str = ""
    reason: str = ""
    answered_at: float = 0.0
    digest: str = ""
    """Of tool, title, input and diff: the same wish has the same."""
    kept: bool = False
    """Answered while no attempt waited for it: the next one that wishes the same has this answer, once."""
