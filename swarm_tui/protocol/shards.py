"""Shards: whole swarms, each with a dispatcher, a journal and agents of its own, among which tasks are divided.

`farm/_s/0` to `farm/_s/2` are the shards of `farm`. Who publishes chooses the shard by what names the work, so that
a repeat of it, from whomever, comes to the same dispatcher: the promise of each shard is then the promise of all.
"""

import re
from hashlib import sha256
from typing import Literal

#: The level under the whole's name, below which its shards are.
BRANCH = "_s"
#: Shards of one swarm, at most.
MOST = 10_000
#: What decides: the work's own name, or its type, where each shard has agents of other types.
By = Literal["id", "type"]
_NAME = re.compile(r"(.+)/_s/(0|[1-9][0-9]{0,4})")


def shard(whole: str, number: int) -> str:
    """Return the name of one shard of the swarm `whole`."""
    return f"{whole}/{BRANCH}/{number}"


def whole_of(swarm: str) -> str | None:
    """Return the swarm that `swarm` is a shard of; None where it is none."""
    found = _NAME.fullmatch(swarm)
    return None if found is None else found[1]


def number_of(swarm: str) -> int | None:
    """Return which shard of its whole `swarm` is; None where it is none."""
    found = _NAME.fullmatch(swarm)
    return None if found is None else int(found[2])


def choose(count: int, key: str) -> int:
    """Return the shard, 0 to `count` - 1, of the work that `key` names; the same for ever, in any language.

    It is the first eight bytes of the key's SHA-256 as a number, high byte first, modulo `count`.
    """
    return int.from_bytes(sha256(key.encode()).digest()[:8], "big") % count


def key_of(by: By, task_id: str, task_type: str, idempotency_key: str | None) -> str:
    """Return what names a task's work: tasks with one idempotency key are one task, whatever their ids."""
    return task_type if by == "type" else idempotency_key or task_id


def misfit(swarm: str, count: int) -> str:
    """Return why a swarm of that name cannot be one of `count` shards; empty where it can, or where `count` is 0."""
    number = number_of(swarm)
    if count and number is None:
        return f"`policy.shards` is {count}: bring each up by its name, --swarm {shard(swarm, 0)} to {count - 1}"
    if count and number is not None and number >= count:
        return f"{swarm} is beyond the last of `policy.shards: {count}`, {shard(whole_of(swarm) or '', count - 1)}"
    if number is not None and not count:
        return f"{swarm} is named as a shard, and the layout does not say how many there are: `policy.shards`"
    return ""
