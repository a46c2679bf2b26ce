"""The dispatcher's filters, and its session: the one persistent session of a swarm."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from swarm_tui.bus.port import BusError
from swarm_tui.bus.session import empty_session, keep_session, retained
from swarm_tui.config.model import Broker, RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.identity.account import broker_of_swarm
from swarm_tui.identity.store import IdentityError
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import Dispatcher
from swarm_tui.protocol.client_ids import dispatcher_client_id, former_dispatcher_client_id
from swarm_tui.protocol.dialects import patterns
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.kind_groups import WISHES
from swarm_tui.protocol.topics import Kind, topic

#: Exact filters: some brokers send what is retained only to those.
HEARD = (
    Kind.TASK_NEW,
    Kind.DEPLOYMENT_REQUEST,
    Kind.CODE_REVIEW,
    Kind.TASK_ASSIGNED,
    Kind.TASK_STARTED,
    Kind.TASK_DECLINED,
    Kind.TASK_PROGRESS,
    Kind.TASK_USAGE,
    Kind.TASK_COMPLETE,
    Kind.TASK_FAILED,
    Kind.TASK_CANCEL,
    Kind.TASK_REDRIVE,
    Kind.TASK_APPROVE,
    Kind.TASK_DENY,
    Kind.RUN_NEW,
    Kind.RUN_CANCEL,
    Kind.RUN_RETRY,
    Kind.SCHEDULE_ACT,
    Kind.MESSAGE_NEW,
    Kind.MESSAGE_DELIVERED,
    Kind.MESSAGE_READ,
    Kind.PATHS_CLAIM,
    Kind.PATHS_RELEASE,
    Kind.MERGE_ACT,
    Kind.HEARTBEAT,
    Kind.SHUTDOWN,
    Kind.HALT,
    Kind.DISPATCHER,
)
HEARD_OF_ALL = (Kind.ASK, Kind.ASK_ANSWER, Kind.STATUS, Kind.HOST_STATUS, Kind.SCALE, Kind.QUERY)
#: What is said once about a task, and may be said twice; the rest is said again by itself.
_SAID_ONCE = (
    Kind.TASK_COMPLETE,
    Kind.TASK_FAILED,
    Kind.TASK_CANCEL,
    Kind.TASK_REDRIVE,
    Kind.TASK_APPROVE,
    Kind.TASK_DENY,
    Kind.RUN_CANCEL,
    Kind.RUN_RETRY,
    Kind.SCHEDULE_ACT,
    Kind.MERGE_ACT,
)


def foreign_patterns(spec: RunSpec) -> list[str]:
    """Return the filters under which the agents of other dialects are heard: as many whatever their number.

    A broker may take no more than fifty of one connection.
    """
    found = [dialect for dialect in sorted(set(spec.foreign.values())) if dialect != "swarm"]
    return list(dict.fromkeys(pattern for dialect in found for pattern in patterns(spec.swarm, "+", dialect)))


def session_patterns(spec: RunSpec) -> list[str]:
    """Return the topic filters of all that the dispatcher of `spec` listens to."""
    plain = [topic(spec.swarm, kind) for kind in HEARD]
    named = [topic(spec.swarm, kind, "+") for kind in HEARD_OF_ALL]
    return [*plain, *named, topic(spec.swarm, Kind.INBOX, spec.agent_id), *foreign_patterns(spec)]


def dispatcher_way(spec: RunSpec) -> Broker:
    """Return the way by which the dispatcher of `spec` reaches the broker. Raises BusError."""
    try:
        return broker_of_swarm(spec.broker, StateDir(Path(spec.state_dir)))
    except IdentityError as error:
        raise BusError(str(error)) from None


def prepare_session(spec: RunSpec, timeout: float = 5.0) -> bool:
    """Make the session of the dispatcher of `spec`, so that the broker keeps what is said before it comes.

    Returns False when a dispatcher leads or will be back: it has one, and a second connection would end its own.
    Blocks up to `timeout` seconds for each of two visits. Raises BusError.
    """
    name = topic(spec.swarm, Kind.DISPATCHER)
    raw = retained(dispatcher_way(spec), name, timeout)
    known = codec.decode(spec.swarm, name, raw, True, time.time()) if raw else None
    if isinstance(known, Event) and isinstance(known.body, Dispatcher):
        return False
    _keep(spec, timeout)
    return True


def take_former_session(spec: RunSpec, timeout: float = 5.0) -> int:
    """Take what the broker holds for a dispatcher of an older version, about tasks, into today's session.

    Returns how many messages those were, after at most `timeout` seconds a visit. Call it only while no dispatcher is
    connected, for it would lose its connection. Raises BusError.
    """
    _keep(spec, timeout)
    return empty_session(
        dispatcher_way(spec),
        former_dispatcher_client_id(spec.swarm),
        session_patterns(spec),
        again=_is_one_of(spec.swarm, (*WISHES, *_SAID_ONCE)),
        timeout=timeout,
    )


def _keep(spec: RunSpec, timeout: float) -> None:
    keep_session(
        dispatcher_way(spec),
        dispatcher_client_id(spec.swarm),
        session_patterns(spec),
        again=_is_one_of(spec.swarm, WISHES),
        timeout=timeout,
    )


def _is_one_of(swarm: str, kinds: Sequence[Kind]) -> Callable[[str], bool]:
    return {topic(swarm, kind) for kind in kinds}.__contains__
