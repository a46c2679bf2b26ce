"""How a scripted answer of tests/fake_model.py looks in each protocol: as events of a stream, and whole."""

import json
import re
import time
import uuid

#: Of each tool of a namespace: the namespace, and its own name.
NAMESPACES: dict = {}


class Turn:
    """One answer: text, and at most one call of a tool."""

    def __init__(self, text: str, tool: str | None = None, args: "dict | str | None" = None, custom: bool = False):
        self.text, self.tool, self.args, self.custom = text, tool, args, custom
        self.id = "call_" + uuid.uuid4().hex[:20]


# -- the protocols, as lists of (event name, data)


def anthropic(turn: Turn, usage: tuple[int, int], model: str):
    spent = {"input_tokens": usage[0], "cache_creation_input_tokens": 20, "cache_read_input_tokens": 50}
    message = {"id": "msg_" + uuid.uuid4().hex[:20], "type": "message", "role": "assistant", "model": model}
    message |= {"content": [], "stop_reason": None, "stop_sequence": None, "usage": {**spent, "output_tokens": 1}}
    yield "message_start", {"type": "message_start", "message": message}
    yield (
        "content_block_start",
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    )
    yield "ping", {"type": "ping"}
    for piece in re.findall(r"\S+\s*", turn.text):
        delta = {"type": "text_delta", "text": piece}
        yield "content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}
    yield "content_block_stop", {"type": "content_block_stop", "index": 0}
    if turn.tool:
        block = {"type": "tool_use", "id": "toolu_" + turn.id[5:], "name": turn.tool, "input": {}}
        yield "content_block_start", {"type": "content_block_start", "index": 1, "content_block": block}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(turn.args)}
        yield "content_block_delta", {"type": "content_block_delta", "index": 1, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", "index": 1}
    delta = {"stop_reason": "tool_use" if turn.tool else "end_turn", "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": delta, "usage": {**spent, "output_tokens": usage[1]}}
    yield "message_stop", {"type": "message_stop"}


def _response(turn: Turn, usage: tuple[int, int], model: str, status: str) -> dict:
    items: list[dict] = [
        {
            "id": "msg_" + turn.id,
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": turn.text, "annotations": []}],
        }
    ]
    if turn.tool and turn.custom:
        items.append(
            {
                "id": "ctc_" + turn.id,
                "type": "custom_tool_call",
                "call_id": turn.id,
                "name": turn.tool,
                "input": turn.args,
                "status": "completed",
            }
        )
    elif turn.tool:
        items.append(
            {
                "id": "fc_" + turn.id,
                "type": "function_call",
                "call_id": turn.id,
                "name": turn.tool,
                "arguments": json.dumps(turn.args),
                "status": "completed",
            }
        )
        if turn.tool in NAMESPACES:
            items[-1] |= {"namespace": NAMESPACES[turn.tool][0], "name": NAMESPACES[turn.tool][1]}
    spent = {
        "input_tokens": usage[0],
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage[1],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sum(usage),
    }
    done = status == "completed"
    return {
        "id": "resp_" + turn.id,
        "object": "response",
        "created_at": int(time.time()),
        "model": model,
        "status": status,
        "output": items if done else [],
        "usage": spent if done else None,
        "error": None,
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
    }


def responses(turn: Turn, usage: tuple[int, int], model: str):
    number = 0

    def event(kind: str, **more: object) -> tuple[str, dict]:
        nonlocal number
        number += 1
        return kind, {"type": kind, "sequence_number": number, **more}

    done = _response(turn, usage, model, "completed")
    yield event("response.created", response={**_response(turn, usage, model, "in_progress"), "id": done["id"]})
    for index, item in enumerate(done["output"]):
        empty = {**item, "status": "in_progress"}
        if item["type"] == "message":
            empty["content"] = []
        elif item["type"] == "function_call":
            empty["arguments"] = ""
        yield event("response.output_item.added", output_index=index, item=empty)
        if item["type"] == "message":
            where = {"item_id": item["id"], "output_index": index, "content_index": 0}
            part = {"type": "output_text", "text": "", "annotations": []}
            yield event("response.content_part.added", **where, part=part)
            for piece in re.findall(r"\S+\s*", turn.text):
                yield event("response.output_text.delta", **where, delta=piece)
            yield event("response.output_text.done", **where, text=turn.text)
            yield event("response.content_part.done", **where, part={**part, "text": turn.text})
        elif item["type"] == "function_call":
            where = {"item_id": item["id"], "output_index": index}
            yield event("response.function_call_arguments.delta", **where, delta=item["arguments"])
            yield event("response.function_call_arguments.done", **where, arguments=item["arguments"])
        yield event("response.output_item.done", output_index=index, item=item)
    yield event("response.completed", response=done)


def _calls(turn: Turn) -> list[dict]:
    args = turn.args if isinstance(turn.args, str) else json.dumps(turn.args)
    return [{"id": turn.id, "type": "function", "function": {"name": turn.tool, "arguments": args}}]


def chat(turn: Turn, usage: tuple[int, int], model: str):
    head = {"id": "chatcmpl-" + turn.id, "object": "chat.completion.chunk", "created": int(time.time()), "model": model}

    def chunk(delta: dict, finish: "str | None" = None, **more: object) -> tuple[None, dict]:
        return None, {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}

    yield chunk({"role": "assistant", "content": ""})
    for piece in re.findall(r"\S+\s*", turn.text):
        yield chunk({"content": piece})
    if turn.tool:
        yield chunk({"tool_calls": [{"index": 0, **one} for one in _calls(turn)]})
    yield chunk({}, "tool_calls" if turn.tool else "stop")
    spent = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    yield None, {**head, "choices": [], "usage": spent}
    yield None, "[DONE]"


def gemini_chunk(turn: Turn, usage: tuple[int, int], model: str, *, last: bool, text: "str | None" = None) -> dict:
    parts: list[dict] = [{"text": turn.text if text is None else text}] if (turn.text if text is None else text) else []
    if last and turn.tool:
        parts.append({"functionCall": {"id": turn.id, "name": turn.tool, "args": turn.args}})
    spent = {"promptTokenCount": usage[0], "candidatesTokenCount": usage[1], "totalTokenCount": sum(usage)}
    one = {"content": {"role": "model", "parts": parts}, "index": 0, **({"finishReason": "STOP"} if last else {})}
    return {"candidates": [one], "usageMetadata": spent, "modelVersion": model, "responseId": turn.id}


def gemini(turn: Turn, usage: tuple[int, int], model: str):
    pieces = re.findall(r"\S+\s*", turn.text)
    for piece in pieces[:-1]:
        yield None, gemini_chunk(turn, usage, model, last=False, text=piece)
    yield None, gemini_chunk(turn, usage, model, last=True, text=pieces[-1] if pieces else "")


def whole(api: str, turn: Turn, usage: tuple[int, int], model: str) -> dict:
    if api == "responses":
        return _response(turn, usage, model, "completed")
    if api == "chat":
        message: dict = {"role": "assistant", "content": turn.text}
        if turn.tool:
            message["tool_calls"] = _calls(turn)
        spent = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if turn.tool else "stop"}
        return {
            "id": "chatcmpl-" + turn.id,
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [choice],
            "usage": spent,
        }
    content: list[dict] = [{"type": "text", "text": turn.text}]
    if turn.tool:
        content.append({"type": "tool_use", "id": "toolu_" + turn.id[5:], "name": turn.tool, "input": turn.args})
    return {
        "id": "msg_" + turn.id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if turn.tool else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": usage[0],
            "output_tokens": usage[1],
            "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 50,
        },
    }
