"""`swarm-tui answer`: a person's yes or no to what AI agents ask."""

import click

from swarm_tui.cli.asks import one_of, open_asks
from swarm_tui.cli.common import FAILED, broker_option, json_option, note, print_json, swarm_option, target
from swarm_tui.cli.existence import check_swarm_exists
from swarm_tui.cli.follow import Follower, follow
from swarm_tui.cli.task_acts import Refusal
from swarm_tui.protocol.ask_bodies import AskAnswer, AskRecorded, Outcome
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.rows import AskRow
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind

#: Seconds within which an answer is written down, and after another's within which ours is refused.
_PATIENCE, _A_MOMENT = 5.0, 0.7


@click.command(epilog="Example: swarm-tui answer 3f2a yes; swarm-tui answer 3f2a no --reason 'not on main'")
@click.argument("ask_ids", metavar="ID...", nargs=-1, required=True)
@click.argument("word", metavar="yes|no", type=click.Choice(["yes", "no", "allow", "deny"]))
@click.option("--always", is_flag=True, help="Yes to all that is like it, for this task.")
@click.option("--reason", default="", metavar="TEXT", help="Kept in the record; the agent is told it.")
@swarm_option
@broker_option
@json_option
def command(
    ask_ids: tuple[str, ...],
    word: str,
    always: bool,
    reason: str,
    swarm: str | None,
    broker: str | None,
    as_json: bool,
) -> int:
    """Answer what AI agents ask; `swarm-tui asks` lists it. It counts once the dispatcher has written it down."""
    allowed = word in ("yes", "allow")
    if always and not allowed:
        raise click.UsageError("--always is for a yes; a rule under `deny` in the layout is an always no")
    outcome: Outcome = ("always" if always else "allow") if allowed else "deny"
    found = target(swarm, broker)
    with follow(found) as follower:
        check_swarm_exists(follower, found)
        rows = open_asks(follower)
        chosen = [one_of(rows, ask_id) for ask_id in dict.fromkeys(ask_ids)]
        results = [_answer(follower, row, outcome, reason) for row in chosen]
    for result in results:
        if not as_json:
            (click.echo if result["ok"] else note)(f"{str(result['ask_id'])[:8]}: {result['told']}")
    if as_json:
        print_json(results)
    return 0 if all(result["ok"] for result in results) else FAILED


def _answer(follower: Follower, row: AskRow, outcome: Outcome, reason: str) -> dict[str, str | bool]:
    """Say it, and wait for what is written down."""
    heard: list[AskRecorded] = []

    def listen(event: Event | Rejected) -> None:
        if isinstance(event, Event) and event.key == row.ask_id and isinstance(event.body, AskRecorded):
            with follower.lock:
                heard.append(event.body)
                follower.lock.notify_all()

    follower.operator.on_event(listen)
    refused = Refusal(follower)
    body = AskAnswer(outcome=outcome, reason=reason)
    refused.of(follower.operator.act(Kind.ASK_ANSWER, body, row.ask_id))
    follower.wait_for(lambda: bool(heard or refused.why), _PATIENCE)
    if heard and heard[0].by != follower.operator.sender:
        # Somebody else's answer, or ours under a name that a join file gives: the dispatcher says when it is not ours.
        follower.wait_for(lambda: bool(refused.why), _A_MOMENT)
    said = {"ask_id": row.ask_id, "task_id": row.task_id}
    if not heard and refused.why:
        return {**said, "ok": False, "outcome": "", "told": refused.why}
    if not heard:
        told = f"no answer was written down within {_PATIENCE:g} s; `swarm-tui asks` shows whether it still waits"
        return {**said, "ok": False, "outcome": "", "told": told}
    kept = heard[0]
    word = "denied" if kept.outcome == "deny" else "allowed"
    ours = kept.outcome == outcome and kept.by.startswith("operator:") and not refused.why
    why = f": {kept.reason}" if kept.reason else ""
    told = f"{word}: {row.tool} {row.title}" if ours else f"it was {word} already by {kept.by or 'nobody'}{why}"
    return {**said, "ok": ours, "outcome": kept.outcome, "told": clean(told, 3000)}
