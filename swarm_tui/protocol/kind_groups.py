"""The kinds of messages in groups, by who speaks by them: what the codec, the proofs and the broker's rules share."""

from swarm_tui.protocol.topics import Kind

#: How an agent says that it is there, but for its retained status.
PRESENCE = (Kind.REGISTER, Kind.HEARTBEAT, Kind.SHUTDOWN)
#: What an agent says of the work, the mail and the paths that it has; the body names it.
OF_WORK = (
    Kind.TASK_STARTED,
    Kind.TASK_DECLINED,
    Kind.TASK_PROGRESS,
    Kind.TASK_USAGE,
    Kind.ASK,
    Kind.TASK_COMPLETE,
    Kind.TASK_FAILED,
    Kind.MESSAGE_DELIVERED,
    Kind.MESSAGE_READ,
    Kind.PATHS_CLAIM,
    Kind.PATHS_RELEASE,
)
#: How anybody gives the swarm something to do.
WISHES = (Kind.TASK_NEW, Kind.DEPLOYMENT_REQUEST, Kind.CODE_REVIEW, Kind.RUN_NEW, Kind.MESSAGE_NEW)
#: Acts of people that decide about tasks, agents and hosts.
ACTS = (
    Kind.TASK_CANCEL,
    Kind.TASK_REDRIVE,
    Kind.TASK_APPROVE,
    Kind.TASK_DENY,
    Kind.ASK_ANSWER,
    Kind.RUN_CANCEL,
    Kind.RUN_RETRY,
    Kind.SCHEDULE_ACT,
    Kind.MERGE_ACT,
    Kind.HALT,
    Kind.SCALE,
    Kind.HOST_CONTROL,
)
