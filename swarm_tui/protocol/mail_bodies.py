"""Payloads of the mail between agents and people, with its receipts, and of claims on paths."""

from swarm_tui.protocol.base_body import Body
from swarm_tui.protocol.topics import Kind


class MessageNew(Body, frozen=True, kw_only=True, rename={"sender": "from"}):
    """Body of messages/new: `to` is an agent, a role or `role:NAME`, `all`, or a person (`operator:…`).

    Times are seconds since the epoch. `task_id` is the task that it is about.
    """

    message_id: str
    sender: str | None = None
    to: str = ""
    text: str = ""
    reply_to: str | None = None
    """The message that it answers; without `to` it goes to who sent that."""
    expects_answer: bool = False
    task_id: str | None = None
    expires_at: float | None = None
    at: float | None = None
    """In an inbox: when it was accepted."""


class MessageAccepted(Body, frozen=True, kw_only=True, rename={"sender": "from"}):
    """Body of messages/accepted: it is journaled. `receivers` are those there are by now, as many as fit."""

    message_id: str
    sender: str = ""
    to: str = ""
    receivers: list[str] = []
    expires_at: float | None = None
    duplicate: bool = False


class MessageRejected(Body, frozen=True, kw_only=True):
    """Body of messages/rejected: the dispatcher does not take it, and says why."""

    message_id: str
    reason: str = ""


class MessageReceipt(Body, frozen=True, kw_only=True):
    """Body of messages/delivered (the agent has it) and messages/read (its task, or a person at it, has)."""

    message_id: str
    agent_id: str = ""
    task_id: str | None = None
    """The task that read it."""


class MessageAnswered(Body, frozen=True, kw_only=True, rename={"sender": "from"}):
    """Body of messages/answered: the answer is journaled; `text` is what it says."""

    message_id: str
    answer_id: str
    sender: str = ""
    text: str = ""


class MessageDead(Body, frozen=True, kw_only=True):
    """Body of messages/dead: a receiver did not read it in time; without `agent_id` there was none."""

    message_id: str
    agent_id: str | None = None
    reason: str = ""


class PathsClaim(Body, frozen=True, kw_only=True):
    """Body of paths/claim: the attempt wants these paths of the workdir for itself. The same id is the same claim."""

    claim_id: str
    task_id: str
    agent_id: str = ""
    attempt: int | None = None
    epoch: int | None = None
    paths: list[str] = []


class PathsClaimed(Body, frozen=True, kw_only=True):
    """Body of paths/claimed: they are the task's, until it ends, its attempt is over, or it releases them."""

    claim_id: str
    task_id: str
    agent_id: str = ""
    paths: list[str] = []
    since: float = 0.0


class PathsRefused(Body, frozen=True, kw_only=True):
    """Body of paths/refused: who holds what of it, since when (seconds since the epoch), or why else."""

    claim_id: str
    task_id: str
    agent_id: str = ""
    reason: str = ""
    holder: str | None = None
    holder_task: str | None = None
    paths: list[str] = []
    """The holder's, that overlap."""
    since: float | None = None


class PathsRelease(Body, frozen=True, kw_only=True):
    """Body of paths/release: the attempt needs a claim no more; without `claim_id`, none of its claims."""

    task_id: str
    agent_id: str = ""
    attempt: int | None = None
    epoch: int | None = None
    claim_id: str | None = None


class PathsReleased(Body, frozen=True, kw_only=True):
    """Body of paths/released: these are free again."""

    task_id: str
    agent_id: str = ""
    paths: list[str] = []
    reason: str = ""


MAIL_BODY: dict[Kind, type[Body]] = {
    Kind.MESSAGE_NEW: MessageNew,
    Kind.MESSAGE_ACCEPTED: MessageAccepted,
    Kind.MESSAGE_REJECTED: MessageRejected,
    Kind.MESSAGE_DELIVERED: MessageReceipt,
    Kind.MESSAGE_READ: MessageReceipt,
    Kind.MESSAGE_ANSWERED: MessageAnswered,
    Kind.MESSAGE_DEAD: MessageDead,
    Kind.PATHS_CLAIM: PathsClaim,
    Kind.PATHS_CLAIMED: PathsClaimed,
    Kind.PATHS_REFUSED: PathsRefused,
    Kind.PATHS_RELEASE: PathsRelease,
    Kind.PATHS_RELEASED: PathsReleased,
}
