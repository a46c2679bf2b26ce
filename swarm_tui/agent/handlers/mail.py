"""Mail and claims on paths, as a handler knows them."""

from typing import Protocol

from msgspec import Struct


class Message(Struct, frozen=True, kw_only=True):
    """A message that was read. `sender` is an agent, `operator:…` or `guest …`; `at` is seconds since the epoch."""

    message_id: str
    sender: str
    text: str
    to: str = ""
    at: float = 0.0
    reply_to: str | None = None
    """The message that it answers."""
    expects_answer: bool = False
    task_id: str | None = None
    """The task that it is about."""


class Claimed(Struct, frozen=True, kw_only=True):
    """The answer to a claim on paths: `granted`, or else why not, and who holds what since when."""

    claim_id: str
    granted: bool
    paths: list[str] = []
    """The paths that are claimed; of a refusal the holder's, that overlap."""
    reason: str = ""
    holder: str | None = None
    holder_task: str | None = None
    since: float | None = None


class MailError(Exception):
    """The reason why a message was not taken, or not answered."""


class Mail(Protocol):
    """The mail of one attempt. All but the waiting is thread-safe and quick."""

    def read(self) -> list[Message]:
        """Return what nobody has read yet, oldest first, and count it as read."""
        ...

    def send(self, to: str, text: str, *, reply_to: str | None, expects_answer: bool, message_id: str | None) -> str:
        """Send a message. Returns its id. Raises MailError."""
        ...

    async def ask(self, to: str, text: str, within: float) -> Message:
        """Send a message and wait for its answer, so many seconds. Raises MailError."""
        ...

    async def claim(self, paths: list[str], within: float) -> Claimed:
        """Claim paths for the attempt, and wait for the answer, so many seconds."""
        ...

    def release(self, claim_id: str | None) -> None:
        """Let go of one claim, or of all."""
        ...
