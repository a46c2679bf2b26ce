"""The kinds of messages by who may say them: what the keys of each party allow."""

from swarm_tui.protocol import kind_groups
from swarm_tui.protocol.topics import Kind

#: Orders to everybody: each host has its MAC of them.
TO_ALL = frozenset({Kind.DISPATCHER, Kind.HALT, Kind.SCALE, Kind.BROADCAST, Kind.ASK_RECORDED})
#: Acts of people that decide about tasks.
ACTS = frozenset(kind_groups.ACTS)
#: Words by which an agent answers for itself.
ANSWERS = frozenset((*kind_groups.PRESENCE, *kind_groups.OF_WORK, Kind.STATUS, Kind.DEPLOYMENT_STATUS))
#: Words for people, which anybody says who has a key, and in nobody else's name.
TOLD = frozenset({Kind.ALERT, Kind.BROADCAST})
#: What anybody may say whom `policy.guests` lets, and who has any key.
ASKED = frozenset((*kind_groups.WISHES, Kind.QUERY))
#: What the dispatcher alone says of tasks, runs and mail: a publisher goes by it, and a person.
VERDICTS = frozenset(
    {
        Kind.TASK_QUEUED,
        Kind.TASK_REJECTED,
        Kind.TASK_CANCELLED,
        Kind.TASK_RETRYING,
        Kind.TASK_DEAD,
        Kind.TASK_HELD,
        Kind.RUN_STARTED,
        Kind.RUN_REJECTED,
        Kind.RUN_ENDED,
        Kind.MESSAGE_ACCEPTED,
        Kind.MESSAGE_REJECTED,
        Kind.MESSAGE_ANSWERED,
        Kind.MESSAGE_DEAD,
        Kind.PATHS_CLAIMED,
        Kind.PATHS_REFUSED,
        Kind.PATHS_RELEASED,
        Kind.MERGE_STATE,
    }
)
#: All that somebody judges, which is all that means anything to us.
JUDGED = frozenset(Kind) - {Kind.OTHER}
#: What only the swarm says, a host of itself, or a person.
ORDERED = ACTS | VERDICTS | {Kind.ASK_RECORDED, Kind.DISPATCHER, Kind.INBOX, Kind.HOST_STATUS}
#: What an agent says of itself or for itself.
IN_OWN_NAME = ANSWERS | TOLD | {Kind.TASK_ASSIGNED}
#: What no person says.
NO_PERSONS = ANSWERS | VERDICTS | {Kind.TASK_ASSIGNED, Kind.DISPATCHER, Kind.HOST_STATUS, Kind.ASK_RECORDED}
