"""Find the shard that work belongs to, where the swarm that was named is divided into some."""

import os

import msgspec

from swarm_tui.cli.common import USAGE, Failure, Target, any_shard, target
from swarm_tui.config.running import Running
from swarm_tui.protocol.bodies import Task
from swarm_tui.protocol.shards import choose, key_of, shard


def for_task(found: Target, task: Task, broker: str | None = None) -> Target:
    """Return the shard that the task belongs to, at `broker` where one was named.

    It is `found` itself where that is no whole of shards that run here. Raises Failure for a task that is meant for one
    agent, which is of one shard.
    """
    one = any_shard(found)
    if one is None:
        return found
    named = shard(found.swarm, 0)
    if task.assigned_to is not None:
        raise Failure(f"an agent is of one shard: name that, such as --swarm {named}, with --to", USAGE)
    return _shard(
        found, one, choose(one.shards, key_of(one.shard_by, task.task_id, task.type, task.idempotency_key)), broker
    )


def for_run(found: Target, run_id: str, broker: str | None = None) -> Target:
    """Return the shard that the run of a workflow belongs to: all of its tasks are that shard's."""
    one = any_shard(found)
    if one is not None and one.shard_by == "type":
        raise Failure(f"{found.swarm} is divided by type: name the shard, such as --swarm {one.swarm}", USAGE)
    return found if one is None else _shard(found, one, choose(one.shards, run_id), broker)


def _shard(found: Target, one: Running, number: int, broker: str | None) -> Target:
    chosen = target(shard(found.swarm, number), broker)
    if chosen.running is None and not broker and not os.environ.get("MQTT_BROKER"):
        # It runs on another host: its broker is the one that this one has.
        chosen = msgspec.structs.replace(chosen, broker=one.broker)
    return chosen
