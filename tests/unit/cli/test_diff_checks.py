"""`swarm-tui diff` tells what the checks said of the work."""

import msgspec

from swarm_tui.cli.diff import verdicts
from swarm_tui.protocol.merge_bodies import MergeState
from swarm_tui.protocol.rows import TaskRow


def row(task_id: str, **more: object) -> TaskRow:
    plain = {"task_id": task_id, "type": "code.generate", "state": "complete", "created_at": 1.0, "updated_at": 1.0}
    return msgspec.convert({**plain, **more}, TaskRow)


def test_the_checks_of_the_last_merge_are_told() -> None:
    merge = MergeState(task_id="t", state="stopped", checks={"testing.run": "passed: 3 passed", "code.review": ""})
    assert verdicts([msgspec.structs.replace(row("t"), merge=merge)]) == {"testing.run": "passed: 3 passed"}


def test_what_looked_at_one_of_several_that_were_compared_is_told() -> None:
    tested = row("r.claude-test", type="testing.run", result={"verdict": "failed", "failed": 1})
    reviewed = row("r.claude-review", type="code.review", state="running")
    said = verdicts([tested, reviewed, row("r.claude")])
    assert said == {"testing.run": "failed: 1 failed", "code.review": "running"}


def test_where_nobody_looked_nothing_is_told() -> None:
    assert verdicts([row("t")]) == {}
