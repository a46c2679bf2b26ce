"""Tool calls as a hook tells of them, in the words of ACP, in which the rest of a conversation is told."""

from pathlib import Path
from typing import Any

from swarm_tui.agent.conversation.listener import Listener
from swarm_tui.agent.conversation.spec import Interactive, find
from swarm_tui.agent.conversation.tool_calls import MOST_DIFF, ToolCall, take

#: Bytes of a file beyond which no change of it is shown.
_MOST_FILE = 2_000_000
#: Names under which tools are told a path.
_PATHS = ("file_path", "path", "notebook_path", "absolute_path")


def text_of(said: Any, path: str) -> str:
    """Return the text at a dotted path of what a hook said; empty where there is none."""
    return next((value for value in find(said, path) if isinstance(value, str)), "")


def update_of(said: dict[str, Any], spec: Interactive, call_id: str, status: str) -> dict[str, Any]:
    """Return what a hook says of a tool call as an update of ACP's."""
    tool = text_of(said, spec.tool)[:100]
    given = next((value for value in find(said, spec.input) if isinstance(value, dict)), {})
    update: dict[str, Any] = {
        "sessionUpdate": "tool_call" if status == "pending" else "tool_call_update",
        "toolCallId": call_id,
        "title": tool,
        "kind": spec.kinds.get(tool, "other"),
        "status": status,
        "rawInput": given,
        "_meta": {"cli": {"toolName": tool}},
    }
    if status == "pending":
        update["content"] = [{"type": "diff", **change} for change in _changes(given)]
    else:
        update["rawOutput"] = "\n".join(words for path in spec.output if (words := text_of(said, path)))
    return update


def call_of(said: dict[str, Any], spec: Interactive) -> ToolCall:
    """Return the call that a hook tells of, which nothing else is known of."""
    return take(None, update_of(said, spec, "", "pending"))


class HookedCalls:
    """Knows the tool calls of a conversation of which hooks have told, and tells them to its listener."""

    def __init__(self, spec: Interactive, heard: Listener) -> None:
        self._spec, self._heard = spec, heard
        self._by_id: dict[str, ToolCall] = {}

    def noted(self, said: dict[str, Any], status: str) -> ToolCall:
        """Take in what a hook says of a call; a dialog's says not of which."""
        known = self.known(said)
        call_id = known.call_id if known is not None else text_of(said, self._spec.call) or f"call-{len(self._by_id)}"
        self._heard.hear(update_of(said, self._spec, call_id, status))
        assert self._heard.last is not None
        self._by_id[call_id] = self._heard.last
        return self._heard.last

    def known(self, said: dict[str, Any]) -> ToolCall | None:
        """Return the call that a hook tells of, if it is known: by its id, else the last of that tool and input."""
        if call_id := text_of(said, self._spec.call):
            return self._by_id.get(call_id)
        given: Any = next(iter(find(said, self._spec.input)), {})
        tool = text_of(said, self._spec.tool)
        same = [one for one in self._by_id.values() if not one.over and (one.name, one.input) == (tool, given)]
        return same[-1] if same else None


def _changes(given: dict[str, Any]) -> list[dict[str, str]]:
    """Return what a tool would change in a file, as far as its input tells: path, old text, new text."""
    path = next((given[name] for name in _PATHS if isinstance(given.get(name), str)), None)
    content, edits = given.get("content"), given.get("edits")
    if path is None:
        return []
    before = _read(path)
    if isinstance(content, str):
        return [_change(path, before, content)]
    after = before
    for edit in edits if isinstance(edits, list) else [given]:
        old, new = (edit.get("old_string"), edit.get("new_string")) if isinstance(edit, dict) else (None, None)
        if not isinstance(old, str) or not isinstance(new, str):
            continue
        after = after.replace(old, new, -1 if edit.get("replace_all") else 1) if old else after + new
    return [_change(path, before, after)] if after != before else []


def _change(path: str, before: str, after: str) -> dict[str, str]:
    return {"path": path, "oldText": before, "newText": after[: 4 * MOST_DIFF]}


def _read(path: str) -> str:
    try:
        file = Path(path)
        return file.read_text("utf-8", "replace") if file.stat().st_size <= _MOST_FILE else ""
    except (OSError, ValueError):
        return ""
