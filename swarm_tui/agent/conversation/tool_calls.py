"""Tool calls of a conversation as ACP tells of them, whatever the CLI calls its tools. Pure, but for paths."""

import difflib
import re
from pathlib import Path
from typing import Any

from msgspec import Struct

from swarm_tui.domain.asks.rules import Use

#: ACP's kinds of tools under the words of our rules; what is of no such kind has its own name.
_BY_KIND = {
    "edit": "Edit",
    "delete": "Edit",
    "move": "Edit",
    "read": "Read",
    "search": "Read",
    "execute": "Bash",
    "fetch": "Fetch",
    "think": "Think",
}
_WRITES = frozenset({"Edit", "Bash"})
#: Bytes of a diff and of an input that an ask carries at most.
MOST_DIFF, MOST_INPUT = 60_000, 20_000
_FENCED = re.compile(r"```[\w-]*\n(.*?)\n?```", re.DOTALL)
_OVER = frozenset({"completed", "failed"})


class ToolCall(Struct, kw_only=True):
    """A tool call as it is known by now: what was said of it first, and every update since."""

    call_id: str
    title: str = ""
    kind: str = "other"
    name: str = ""
    """The CLI's own name of the tool, where it says it."""
    status: str = "pending"
    input: dict[str, Any] = {}
    paths: list[str] = []
    diffs: list[tuple[str, str, str]] = []
    """Path, old text, new text."""
    output: str = ""
    allowed: bool = False
    """It was asked for, and allowed."""
    refused: str = ""
    """Why it was refused, where it was."""

    @property
    def over(self) -> bool:
        """Return whether it has ended."""
        return self.status in _OVER

    @property
    def tool(self) -> str:
        """Return our word for the tool."""
        return _BY_KIND.get(self.kind) or self.name or self.title.split(" ")[0].strip("`:") or "Tool"

    @property
    def writes(self) -> bool:
        """Return whether it may change something."""
        return self.tool in _WRITES or self.kind == "other"

    @property
    def command(self) -> str:
        """Return the command line of one that runs something."""
        given = self.input.get("command", self.input.get("cmd"))
        if isinstance(given, list):
            words = [str(word) for word in given]
            if len(words) == 3 and words[0].rpartition("/")[2] in ("bash", "sh", "zsh") and words[1] in ("-c", "-lc"):
                return words[2]
            return " ".join(words)
        return given if isinstance(given, str) else self.title.strip().strip("`")

    def target(self, folder: Path) -> str:
        """Return what it works on, short: a command, a path, or its title."""
        if self.tool == "Bash":
            return self.command
        paths = self.use(folder).what
        return ", ".join(paths) or self.title

    def use(self, folder: Path) -> Use:
        """Return it as rules see it; paths within `folder` are relative to it, others absolute."""
        names = tuple(name for name in (self.name, _BY_KIND.get(self.kind, "")) if name)
        if self.tool == "Bash":
            return Use(tool="Bash", names=names, what=(self.command,) if self.command else ())
        if self.tool in ("Edit", "Read"):
            given = [*self.paths, *(path for path, _, _ in self.diffs)]
            for name in ("file_path", "path", "filePath", "absolute_path", "notebook_path"):
                if isinstance(value := self.input.get(name), str):
                    given.append(value)
            changes = self.input.get("changes")
            given += [path for path in changes if isinstance(path, str)] if isinstance(changes, dict) else []
            return Use(tool=self.tool, names=names, what=tuple(dict.fromkeys(_relative(one, folder) for one in given)))
        if self.tool == "Fetch":
            url = self.input.get("url")
            return Use(tool="Fetch", names=names, what=(url,) if isinstance(url, str) else ())
        return Use(tool=self.tool, names=names)

    def diff(self, folder: Path) -> str:
        """Return its changes as a unified diff; empty when it names none. A long one is cut, and says so."""
        out: list[str] = []
        for path, old, new in self.diffs:
            name = _relative(path, folder)
            if "\0" in old or "\0" in new:
                out.append(f"binary file {name} changes\n")
                continue
            lines = difflib.unified_diff(
                old.splitlines(), new.splitlines(), f"a/{name}" if old else "/dev/null", f"b/{name}", lineterm=""
            )
            out += [f"{line}\n" for line in lines]
        whole = "".join(out)
        if len(whole) <= MOST_DIFF:
            return whole
        cut = whole[:MOST_DIFF].rpartition("\n")[0]
        return f"{cut}\n(… {whole.count(chr(10)) - cut.count(chr(10)) - 1} more lines of {len(self.diffs)} files)\n"


def take(known: ToolCall | None, said: dict[str, Any]) -> ToolCall:
    """Return the call with what an update says of it; anything of another shape in it is passed over."""
    call = known or ToolCall(call_id=str(said.get("toolCallId", ""))[:200])
    if isinstance(title := said.get("title"), str) and title:
        call.title = title[:2000]
    if isinstance(kind := said.get("kind"), str) and kind:
        call.kind = kind
    if isinstance(status := said.get("status"), str):
        call.status = status
    if isinstance(given := said.get("rawInput"), dict) and given:
        call.input = given
    if name := _own_name(said):
        call.name = name
    for place in _items(said.get("locations")):
        if isinstance(path := place.get("path"), str) and path not in call.paths:
            call.paths.append(path)
    _take_content(call, said)
    return call


def _take_content(call: ToolCall, said: dict[str, Any]) -> None:
    """Take in diffs and what the tool printed."""
    for part in _items(said.get("content")):
        if part.get("type") == "diff" and isinstance(path := part.get("path"), str):
            old, new = part.get("oldText"), part.get("newText")
            call.diffs = [one for one in call.diffs if one[0] != path]
            call.diffs.append((path, old if isinstance(old, str) else "", new if isinstance(new, str) else ""))
        elif isinstance(inner := part.get("content"), dict) and isinstance(text := inner.get("text"), str):
            # A call's description comes as its content before it has printed anything.
            call.output = "" if text == call.input.get("description") else _unfenced(text)[-8000:]
    raw = said.get("rawOutput")
    if isinstance(raw, dict):
        raw = next(
            (text for key in ("output", "formatted_output", "stdout") if isinstance(text := raw.get(key), str)), ""
        )
    if not call.output and isinstance(raw, str):
        call.output = raw[-8000:]


def _unfenced(text: str) -> str:
    """Return what stands between the marks of a code block, where the text is nothing else."""
    fenced = _FENCED.fullmatch(text.strip())
    return fenced[1] if fenced is not None else text


def _own_name(said: dict[str, Any]) -> str:
    meta = said.get("_meta")
    for part in meta.values() if isinstance(meta, dict) else ():
        if isinstance(part, dict) and isinstance(name := part.get("toolName"), str):
            return name[:100]
    return ""


def _items(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _relative(path: str, folder: Path) -> str:
    """Return the path within `folder` as from there, links resolved, and any other as it really is."""
    try:
        full = (folder / path).resolve()
        root = folder.resolve()
    except (OSError, RuntimeError, ValueError):
        return path
    return str(full.relative_to(root)) if full.is_relative_to(root) else str(full)
