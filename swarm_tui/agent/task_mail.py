"""Mail and claims of one attempt at a task, as its handler has them."""

from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from swarm_tui.agent.handlers.mail import Claimed, MailError, Message
from swarm_tui.agent.running_attempt import RunningAttempt
from swarm_tui.protocol.mail_bodies import MessageNew

if TYPE_CHECKING:
    import asyncio

    from swarm_tui.agent.mail_desk import MailDesk


class TaskMail:
    """A `Mail` over the agent's desk; see `swarm_tui.agent.handlers.mail`."""

    def __init__(self, desk: "MailDesk", attempt: RunningAttempt, running: Callable[[], list[str]]) -> None:
        """Make it; `running` gives the ids of all tasks that the agent is at."""
        self._desk, self._attempt, self._running = desk, attempt, running
        self._said: Counter[str] = Counter()

    def read(self) -> list[Message]:
        return self._desk.read(self._attempt.task_id, self._running())

    def send(self, to: str, text: str, *, reply_to: str | None, expects_answer: bool, message_id: str | None) -> str:
        known = message_id or self._id(to, text, reply_to)
        message = MessageNew(
            message_id=known,
            to=to,
            text=text,
            reply_to=reply_to,
            expects_answer=expects_answer,
            task_id=self._attempt.task_id,
        )
        self._desk.send(message)
        return known

    def _id(self, to: str, text: str, reply_to: str | None, asker: str = "") -> str:
        """Return an id that another attempt at the task gives to the same message: it is not told twice."""
        task = self._attempt.lease.task
        mark = "\0".join((task.idempotency_key or task.task_id, to, text, reply_to or "", *filter(None, [asker])))
        self._said[mark] += 1
        return "m-" + sha256(f"{mark}\0{self._said[mark]}".encode("utf-8", "replace")).hexdigest()[:24]

    async def ask(self, to: str, text: str, within: float) -> Message:
        # Another agent's question is its own: the answer comes to the mailbox of the one that asked.
        known = self._id(to, text, None, self._desk.agent_id)
        self.send(to, text, reply_to=None, expects_answer=True, message_id=known)
        import asyncio

        wait, done = _waiter()
        self._desk.await_answer(self._attempt, known, done)
        try:
            answer = await asyncio.wait_for(wait, within)
        except TimeoutError:
            raise MailError(f"{to} did not answer within {within:g} s") from None
        finally:
            self._desk.drop_answer(known)
        if isinstance(answer, Message):
            return answer
        raise MailError(str(answer))

    async def claim(self, paths: list[str], within: float) -> Claimed:
        mark = "\0".join((self._attempt.task_id, str(self._attempt.lease.attempt), *paths))
        self._said[mark] += 1
        claim_id = "c-" + sha256(f"{mark}\0{self._said[mark]}".encode("utf-8", "replace")).hexdigest()[:24]
        import asyncio

        wait, done = _waiter()
        self._desk.claim(self._attempt, claim_id, paths, done)
        try:
            answer: Claimed = await asyncio.wait_for(wait, within)
            return answer
        except TimeoutError:
            return Claimed(claim_id=claim_id, granted=False, reason=f"nobody answered within {within:g} s")
        finally:
            self._desk.drop_claim(claim_id)

    def release(self, claim_id: str | None) -> None:
        self._desk.release(self._attempt, claim_id)


def _waiter() -> tuple["asyncio.Future[Any]", Callable[[Any], None]]:
    """Return a future of this loop, and what sets it from any thread."""
    import asyncio

    loop = asyncio.get_running_loop()
    wait: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any) -> None:
        if not wait.done():
            wait.set_result(value)

    def done(value: Any) -> None:
        loop.call_soon_threadsafe(settle, value)

    return wait, done
