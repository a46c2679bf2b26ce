"""Reads the body of POST /tasks, and refuses what no reader of the swarm would take before anything is published."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import msgspec

from swarm_tui.agent.handlers import registry
from swarm_tui.agent.roles.api_gateway.json_http import UnfitError
from swarm_tui.client.operator import Operator
from swarm_tui.config.model import HandlerSpec
from swarm_tui.domain.dispatch.accept import OFFER_DEPTH, ROOM, ROOM_VALUES
from swarm_tui.protocol.bodies import Task
from swarm_tui.protocol.names import InvalidNameError
from swarm_tui.protocol.raw import MAX_BYTES, MAX_DEPTH, MAX_VALUES, RefusedError, check_numbers, too_much
from swarm_tui.protocol.text import clean


class NewTask(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /tasks; see `protocol.bodies.Task`."""

    type: str
    payload: dict[str, Any] = {}
    task_id: str | None = None
    priority: str = "medium"
    assigned_to: str | None = None
    timeout: float | None = None
    max_attempts: int | None = None
    not_before: float | None = None
    expires_at: float | None = None
    needs: list[str] | None = None


Doers = Mapping[str, Sequence[HandlerSpec | None]]


def task_of(body: bytes, key: str | None, operator: Operator, doers: Doers = MappingProxyType({})) -> Task:
    """Return the task that a body means; `key` is the Idempotency-Key's, `doers` are those of the layout by type.

    Raises UnfitError: 400 for what nests too deep, 413 for what is too large, 422 for anything else.
    """
    # Before it is decoded: what nests deep is the decoder's end.
    if why := too_much(body, size=len(body), depth=MAX_DEPTH - OFFER_DEPTH, values=MAX_VALUES - ROOM_VALUES):
        raise UnfitError(400, f"the task {why}")
    try:
        new = msgspec.json.decode(body, type=NewTask)
        task = _task(new, key, operator)
        check_numbers(msgspec.structs.asdict(task))
        data = msgspec.json.encode(task)
    except UnicodeDecodeError as error:
        raise UnfitError(
            422, f"the body is no UTF-8: a text in it ends at byte 0x{error.object[error.start]:02x}"
        ) from None
    except RecursionError:
        raise UnfitError(400, "the task nests too deep") from None
    except (msgspec.DecodeError, InvalidNameError, RefusedError, ValueError, OverflowError) as error:
        no_json = isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError)
        raise UnfitError(422, f"not JSON: {error}" if no_json else str(error)) from None
    if why := too_much(data, size=MAX_BYTES - ROOM):
        raise UnfitError(413, f"the task is too large for a message: {why}")
    if why := registry.misfit(task.type, doers.get(task.type, ()), task.payload):
        raise UnfitError(422, f"the payload does not fit {task.type}: {clean(why, 200)}")
    return task


def _task(new: NewTask, key: str | None, operator: Operator) -> Task:
    if key is not None and not (0 < len(key) <= 255 and key.isprintable()):
        raise ValueError("Idempotency-Key: 1 to 255 characters that can be printed")
    task_id = new.task_id
    if task_id is None and key is not None:
        # The same key gives the same id, so that a repeat is the same task even where nobody dispatches.
        task_id = "task_" + sha256(f"{operator.swarm}\0{key}".encode()).hexdigest()[:24]
    plain: dict[str, Any] = {name: value for name, value in msgspec.structs.asdict(new).items() if value is not None}
    plain["task_id"] = task_id or operator.new_task_id()
    return msgspec.convert({**plain, "idempotency_key": key} if key else plain, Task)
