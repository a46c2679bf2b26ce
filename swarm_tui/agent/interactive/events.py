"""Tool calls as a hook tells of them, in the words of ACP, in which the rest of a conversation is told."""

from pathlib import Path
from typing import Any

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
