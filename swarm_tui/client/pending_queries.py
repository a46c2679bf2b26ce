"""Answers to queries: their pages, put together for each one who answers."""

import threading

from msgspec.structs import replace

from swarm_tui.protocol.bodies import Reply
from swarm_tui.protocol.envelope import Event

#: Rows of one answer that are kept; a page beyond them ends it, marked `more`.
MAX_ROWS = 200_000


class Pending:
    """A query that waits; one thread waits, another brings the pages."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._pages: dict[str, Reply] = {}
        self._seen: set[str] = set()

    def heard(self, event: Event, page: Reply) -> None:
        """Take a page; one that comes twice counts once."""
        source = page.source or event.sender
        with self._lock:
            if event.id in self._seen:
                return
            self._seen.add(event.id)
            so_far = self._pages.get(source)
            rows = [*so_far.rows, *page.rows] if so_far is not None else list(page.rows)
            full = len(rows) > MAX_ROWS
            self._pages[source] = replace(page, rows=rows[:MAX_ROWS], more=page.more or full, source=source)
            self._lock.notify_all()

    def wait(self, timeout: float, enough: int | None) -> list[Reply]:
        """Return the answers after `timeout` seconds, or once `enough` are whole; whole ones first."""
        with self._lock:
            self._lock.wait_for(lambda: enough is not None and self._whole() >= enough, timeout)
            return sorted(self._pages.values(), key=lambda reply: reply.more)

    def _whole(self) -> int:
        return sum(not reply.more for reply in self._pages.values())


class Queries:
    """The queries that wait, by message id."""

    def __init__(self) -> None:
        self._pending: dict[str, Pending] = {}

    def open(self, message_id: str) -> Pending:
        """Begin to gather the answers to a query."""
        pending = self._pending[message_id] = Pending()
        return pending

    def close(self, message_id: str) -> None:
        """Let go of a query: answers that come now are late."""
        self._pending.pop(message_id, None)

    def heard(self, event: Event, page: Reply) -> None:
        """Take a reply; one that answers nothing of ours is dropped."""
        pending = self._pending.get(page.request or "")
        if pending is not None:
            pending.heard(event, page)
