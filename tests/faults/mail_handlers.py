"""A handler that writes to its peers, reads what they write, answers, and notes each message that it reads."""

import asyncio
import os
from pathlib import Path
from typing import Any, ClassVar

from msgspec import Struct

from swarm_tui.agent.handlers.base import Context

DIST = "swarm_fault_mail-1.dist-info"


class Payload(Struct):
    """Payload of `mail.work`: how many to write to whom, where to note what is read, the file that ends it."""

    count: int
    to: list[str]
    folder: str
    over: str


class MailWork:
    """Writes, reads and answers mail until a file is there."""

    Payload: ClassVar[type[Struct]] = Payload

    async def run(self, context: Context) -> dict[str, Any]:
        wanted, read = context.payload, 0
        log = os.open(Path(wanted["folder"]) / f"{context.agent_id}.read", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        for number in range(wanted["count"]):
            to = wanted["to"][number % len(wanted["to"])]
            context.send(to, f"number {number}", expects_answer=number % 4 == 0)
            if number % 20 == 0:
                read += self._read(context, log)
                await asyncio.sleep(0.02)
        while not Path(wanted["over"]).exists() and not context.cancel.is_set():
            read += self._read(context, log)
            await asyncio.sleep(0.05)
        os.close(log)
        return {"read": read}

    @staticmethod
    def _read(context: Context, log: int) -> int:
        messages = context.messages()
        for message in messages:
            os.write(log, f"{message.message_id}\n".encode())
        for message in messages:
            if message.expects_answer:
                context.reply(message, f"answer to {message.text}")
        return len(messages)


def installed_in(folder: Path) -> None:
    """Make the handler findable for whoever has the folder on its path."""
    dist = folder / DIST
    dist.mkdir(parents=True)
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: swarm-fault-mail\nVersion: 1\n")
    (dist / "entry_points.txt").write_text(
        "[swarm_tui.handlers]\nmail.work = tests.faults.mail_handlers:MailWork\n", encoding="utf-8"
    )
