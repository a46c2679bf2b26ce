"""Claims on paths of the workdir: at most one task holds what may be one file, for as long as its attempt lasts."""

from typing import Any

from swarm_tui.domain.dispatch.model import Job, State
from swarm_tui.domain.dispatch.outcomes import fence, is_current, renew
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.mail.paths import MAX_ALL, MAX_HELD, MAX_PATHS, HeldPaths, mistake, normal, overlap
from swarm_tui.domain.states import GIVEN
from swarm_tui.protocol.bodies import Inbox, JsonObject
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.mail_bodies import PathsClaim, PathsClaimed, PathsRefused, PathsRelease, PathsReleased
from swarm_tui.protocol.topics import Kind


def claim(turn: Turn, event: Event, body: PathsClaim) -> None:
    """Hear paths/claim: they are the task's, or the answer says who has what of it, or why else not."""
    job = turn.state.jobs.get(body.task_id)
    attempt = None if job is None else fence(job, body.agent_id, body.attempt, body.epoch)
    if job is None or attempt is None or not is_current(job, attempt):
        _refuse(turn, body, "this attempt does not hold the task")
        return
    renew(turn, job, attempt)
    known = next((held for held in job.paths if held.claim_id == body.claim_id), None)
    if known is not None:
        _granted(turn, job, known)
        return
    paths = list(dict.fromkeys(normal(path) for path in body.paths))
    if why := _mistakes(turn, job, body.paths):
        _refuse(turn, body, why)
    elif (clash := _clash(turn, job, paths)) is not None:
        other, held, theirs = clash
        why = f"{held.agent_id} holds {', '.join(theirs[:3])} for {other.task_id}"
        _refuse(turn, body, why, paths=theirs, holder=held.agent_id, holder_task=other.task_id, since=held.since)
    else:
        held = HeldPaths(
            claim_id=body.claim_id, agent_id=body.agent_id, attempt=attempt.number, paths=paths, since=turn.wall
        )
        job.paths.append(held)
        turn.state.paths[job.task_id] = None
        turn.hop(job, "claimed-paths", agent_id=body.agent_id, detail=", ".join(paths))
        turn.save(job)
        _granted(turn, job, held)


def _mistakes(turn: Turn, job: Job, paths: list[str]) -> str:
    """Return why no task could claim these paths now; empty when one could."""
    if not paths or len(paths) > MAX_PATHS:
        return f"a claim names 1 to {MAX_PATHS} paths"
    if found := next((why for path in paths if (why := mistake(path))), ""):
        return found
    if sum(len(held.paths) for held in job.paths) + len(paths) > MAX_HELD:
        return f"a task holds at most {MAX_HELD} paths: claim a folder, or release some"
    every = sum(len(held.paths) for task_id in turn.state.paths for held in turn.state.jobs[task_id].paths)
    return f"{MAX_ALL:,} paths are claimed in this swarm, and no more can be" if every + len(paths) > MAX_ALL else ""


def _clash(turn: Turn, job: Job, paths: list[str]) -> tuple[Job, HeldPaths, list[str]] | None:
    """Return another task, its claim, and what of that overlaps; None when all is free."""
    for task_id in turn.state.paths:
        other = turn.state.jobs[task_id]
        for held in other.paths if other is not job else ():
            theirs = [path for path in held.paths if any(overlap(path, mine) for mine in paths)]
            if theirs:
                return other, held, theirs
    return None


def _granted(turn: Turn, job: Job, held: HeldPaths) -> None:
    body = PathsClaimed(
        claim_id=held.claim_id, task_id=job.task_id, agent_id=held.agent_id, paths=held.paths, since=held.since
    )
    turn.say(Kind.PATHS_CLAIMED, body, job=job)
    _answer(turn, held.agent_id, {"claim_id": held.claim_id, "granted": True, "paths": held.paths})


def _refuse(turn: Turn, body: PathsClaim, reason: str, **more: Any) -> None:
    """Say no; `more` is who holds what of it, since when."""
    refused = PathsRefused(claim_id=body.claim_id, task_id=body.task_id, agent_id=body.agent_id, reason=reason, **more)
    turn.say(Kind.PATHS_REFUSED, refused)
    _answer(turn, body.agent_id, {"claim_id": body.claim_id, "granted": False, "reason": reason, **more})


def _answer(turn: Turn, agent_id: str, answer: JsonObject) -> None:
    record = turn.state.agents.get(agent_id)
    if record is not None and not record.foreign:
        turn.say(Kind.INBOX, Inbox(command="paths", answer=answer), agent_id)


def release(turn: Turn, event: Event, body: PathsRelease) -> None:
    """Hear paths/release: an attempt lets go of one claim of its own, or of all."""
    job = turn.state.jobs.get(body.task_id)
    attempt = None if job is None else fence(job, body.agent_id, body.attempt, body.epoch)
    if job is None or not is_current(job, attempt):
        # What it held is free already.
        return
    _free(turn, job, [held for held in job.paths if body.claim_id in (None, held.claim_id)], "released")


def settle(turn: Turn) -> None:
    """Free what is held by attempts that are over; called in each turn, so that it is written with their end."""
    for task_id in list(turn.state.paths):
        job = turn.state.jobs.get(task_id)
        if job is None:
            del turn.state.paths[task_id]
            continue
        current = job.current
        live = current is not None and job.state in GIVEN and not current.outcome
        gone = [held for held in job.paths if not live or current is None or held.attempt != current.number]
        if gone:
            _free(turn, job, gone, f"the task is {job.state}" if not live else "its attempt is over")


def _free(turn: Turn, job: Job, gone: list[HeldPaths], reason: str) -> None:
    if not gone:
        return
    job.paths = [held for held in job.paths if held not in gone]
    if not job.paths:
        turn.state.paths.pop(job.task_id, None)
    # Not lazily: who claims it next must not be written before.
    turn.save(job)
    paths = [path for held in gone for path in held.paths]
    body = PathsReleased(task_id=job.task_id, agent_id=gone[0].agent_id, paths=paths, reason=reason)
    turn.say(Kind.PATHS_RELEASED, body, job=job)


def restore(state: State, job: Job) -> None:
    """Take up what a job of the journal holds."""
    if job.paths:
        state.paths[job.task_id] = None
