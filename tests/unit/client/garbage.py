"""Five hundred kinds of garbage, made from a seed."""

import json
import random
from typing import Any

KINDS = 500


def _huge_or_odd(rng: random.Random) -> list[bytes]:
    """What is not JSON, or more of it than anyone reads."""
    return [
        b"",
        b"\x00",
        b"\xff\xfe\x00",
        bytes(rng.randrange(256) for _ in range(200)),
        b'{"payload": {"task_id": "\xc3\x28"}}',
        rb'{"payload": {"task_id": "\ud800"}}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b"[" * 100_000,
        b'{"a":' * 20_000,
        b'{"a": [' + b"0," * 20_000 + b"0]}",
        b'{"a":"' + b"\\," * 12_000,
        b"x" * 200_000,
        b'{"a": "' + b"y" * 150_000 + b'"}',
        b"Hello from agent",
        b"[bold red]x[/]",
        b"[/",
        b"\x1b]0;owned\x07",
        b"null",
        b"true",
        b"42",
        b'"text"',
        b"[1, 2]",
        b"{" + b" " * 1000,
        b"{'a': 1}",
        b"{}{}",
    ]


def _ids() -> list[Any]:
    return [
        "",
        "a b",
        "a/b",
        "+",
        "#",
        "x" * 500,
        "\x1b[2J",
        "[/foo]",
        "\u202eevil",
        "é",
        5,
        1.5,
        True,
        None,
        [],
        {},
        ["t"],
    ]


def _bodies(rng: random.Random) -> dict[str, Any]:
    """An object with the contract's own names, and values of the wrong kinds."""
    names = ["task_id", "agent_id", "type", "payload", "status", "priority", "attempt", "epoch", "lease", "progress"]
    names += [
        "error",
        "result",
        "memory",
        "uptime",
        "command",
        "desired",
        "reason",
        "rows",
        "query",
        "instance",
        "panes",
    ]
    values: list[Any] = [*_ids(), -1, 2**70, "nan", {"deep": {"er": [None]}}, [[[]]], "[/]", "\x00", "𝕏" * 40, -0.0]
    return {name: rng.choice(values) for name in rng.sample(names, rng.randrange(1, 8))}


def garbage(seed: int) -> list[bytes]:
    """`KINDS` different payloads that no reader may take for granted."""
    rng = random.Random(seed)
    made = dict.fromkeys(_huge_or_odd(rng))
    while len(made) < KINDS:
        body = _bodies(rng)
        match rng.randrange(4):
            case 0:
                raw = json.dumps({"id": rng.choice(_ids()), "timestamp": rng.choice(_ids()), "payload": body}).encode()
            case 1:
                raw = json.dumps({**body, "payload": rng.choice(_ids())}).encode()
            case 2:
                raw = json.dumps(body).encode()[: rng.randrange(1, 60)]
            case _:
                text = bytearray(json.dumps({"payload": body}).encode())
                text[rng.randrange(len(text))] = rng.randrange(256)
                raw = bytes(text)
        made.setdefault(raw)
    return list(made)
