"""The mail of the dispatcher's journal: a row a message, found by whose it is and by its task."""

import sqlite3
from collections.abc import Iterable, Iterator

import msgspec

from swarm_tui.domain.dispatch.model import GUEST
from swarm_tui.domain.mail.model import Mail

MAIL_TABLE = """
    CREATE TABLE mail (
        message_id TEXT PRIMARY KEY, seq INTEGER NOT NULL, open INTEGER NOT NULL, accepted REAL NOT NULL, task TEXT,
        body BLOB NOT NULL
    );
    CREATE INDEX mail_open ON mail (seq) WHERE open;
    CREATE INDEX mail_seq ON mail (seq);
    CREATE INDEX mail_task ON mail (task, seq) WHERE task IS NOT NULL;
    CREATE TABLE mail_party (name TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (name, seq)) WITHOUT ROWID;
    CREATE INDEX mail_party_seq ON mail_party (seq)
    """
_UPSERT = (
    "INSERT INTO mail (message_id, seq, open, accepted, task, body) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (message_id) DO UPDATE SET open = excluded.open, body = excluded.body"
)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Mail).decode


class MailRows:
    """The table of messages. Methods raise sqlite3.Error when the disk does; who writes has a transaction open."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def write(self, mails: Iterable[Mail]) -> None:
        """Write the messages as they are."""
        for mail in mails:
            row = (mail.message_id, mail.seq, not mail.ended, mail.accepted_at, mail.task_id or None, _encode(mail))
            self._db.execute(_UPSERT, row)
            parties = {mail.sender.removeprefix(GUEST), mail.to.removeprefix(GUEST), *mail.receivers}
            self._db.executemany(
                "INSERT OR IGNORE INTO mail_party (name, seq) VALUES (?, ?)", [(name, mail.seq) for name in parties]
            )

    def open(self) -> list[Mail]:
        """Return the messages with which something may still happen, oldest first."""
        return list(self._read("SELECT body FROM mail WHERE open ORDER BY seq", ()))

    def last_seq(self) -> int:
        """Return the number of the newest message that there is; 0 without any."""
        return int(self._db.execute("SELECT max(seq) FROM mail").fetchone()[0] or 0)

    def find(self, message_id: str) -> Mail | None:
        """Return a message; None when there is none of that id."""
        return next(self._read("SELECT body FROM mail WHERE message_id = ?", (message_id,)), None)

    def search(self, party: str | None, task_id: str | None, limit: int, offset: int) -> Iterator[Mail]:
        """Yield messages, newest first: those that `party` sent or got, those about a task."""
        where, values = [], []
        if party is not None:
            where.append("seq IN (SELECT seq FROM mail_party WHERE name = ?)")
            values.append(party)
        if task_id is not None:
            where.append("task = ?")
            values.append(task_id)
        clause = f"WHERE {' AND '.join(where)} " if where else ""
        sql = f"SELECT body FROM mail {clause}ORDER BY seq DESC LIMIT ? OFFSET ?"
        return self._read(sql, (*values, limit, offset))

    def _read(self, sql: str, values: tuple[object, ...]) -> Iterator[Mail]:
        for (body,) in self._db.execute(sql, values):
            yield _decode(body)

    def prune(self, oldest: float, keep: int, at_once: int) -> int:
        """Forget messages that are over and older than `oldest` (wall time), or more than `keep`. Returns how many."""
        gone = self._delete("accepted < ?", (oldest,), at_once)
        count = self._db.execute("SELECT count(*) FROM mail WHERE NOT open").fetchone()[0]
        return gone + (self._delete("1", (), min(count - keep, at_once)) if count > keep else 0)

    def _delete(self, condition: str, values: tuple[object, ...], most: int) -> int:
        found = self._db.execute(
            f"SELECT seq FROM mail WHERE NOT open AND {condition} ORDER BY seq LIMIT ?", (*values, most)
        ).fetchall()
        self._db.executemany("DELETE FROM mail_party WHERE seq = ?", found)
        self._db.executemany("DELETE FROM mail WHERE seq = ?", found)
        return len(found)
