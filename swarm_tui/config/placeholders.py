"""The placeholders of a layout's commands: one that nothing fills reaches the program as it is written."""

import re

from swarm_tui.config.document import Document, Where, near
from swarm_tui.config.model import Layout

#: What is filled into an agent's command; a handler's has more, and `{payload.…}`.
OF_AGENTS = ("agent_id", "role", "swarm", "broker", "workdir")
OF_HANDLERS = (*OF_AGENTS, "task_id", "attempt")
#: A word in braces: what `awk '{print $1}'` or `{}` of find says is none, and neither is a shell's `${VAR}`.
_WORD = re.compile(r"(?<!\$)\{([a-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_-]+)*)\}")


def stray_placeholders(document: Document, layout: Layout) -> list[str]:
    """A sentence with its place for each placeholder in a command that is filled with nothing, or cannot be."""
    said = []
    for index, entry in enumerate(layout.agents):
        where: Where = ("agents", index, "command")
        said += _of(document, where, entry.command or [], OF_AGENTS, payload=False)
        for task_type, handler in entry.handlers.items():
            script = bool(handler.options.get("shell"))
            command = ["", *(handler.command or [])[1:]] if script else handler.command or []
            where = ("agents", index, "handlers", task_type, "command")
            said += _of(document, where, command, OF_HANDLERS, payload=True)
    return said


def _of(document: Document, where: Where, command: list[str], known: tuple[str, ...], *, payload: bool) -> list[str]:
    said = []
    for position, element in enumerate(command):
        for word in _WORD.findall(element):
            if word in known:
                continue
            if payload and word.startswith("payload."):
                if position > 0 and element == f"{{{word}}}":
                    continue
                reason = f"`{{{word}}}` fills a whole element of a command, and never its program: its tasks fail"
            else:
                more = [*known, "payload.…"] if payload else [*known]
                reason = f"`{{{word}}}` is no placeholder here, so it stays as it is{near(word, more)}"
            line, column = document.places.get((*where, position), document.places.get(where, (1, 1)))
            said.append(f"{document.file}:{line}:{column}: {reason}")
    return said
