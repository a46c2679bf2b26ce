"""A layout as facts: what changed is found in them, and nothing of it gives a secret away."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from swarm_tui.config.model import AgentEntry, Broker, Budget, Defaults, HandlerSpec, Layout, Policy, ScheduleEntry
from swarm_tui.config.paths import StateDir
from swarm_tui.config.revision import MOST_ENTRIES, read_salt, revision_of
from swarm_tui.protocol.host_bodies import LayoutRevision
from swarm_tui.supervisor.plan import Plan

SALT = b"0123456789abcdef"
BUILD = HandlerSpec(command=["/usr/bin/make", "-C", "s3cr3t"], timeout=600.0, options={"token": "s3cr3t"})
LAYOUT = Layout(
    swarm="s",
    broker=Broker(url="mqtt://ada:s3cr3t@h:1883", password="s3cr3t"),
    defaults=Defaults(capacity=2),
    agents=[
        AgentEntry(role="task-manager", id="manager"),
        AgentEntry(role="testing", min=1, max=4, env={"KEY": "s3cr3t"}, depends_on=["manager"]),
        AgentEntry(role="general", count=3, handlers={"site.build": BUILD, "noop": HandlerSpec()}),
        AgentEntry(role="general", count=1, command=["agent", "--key", "s3cr3t"]),
    ],
    schedules=[ScheduleEntry(name="night", cron="0 3 * * *", type="noop", payload={"key": "s3cr3t"})],
    policy=Policy(approve=["deployment.*"], budget=Budget(day=5.0)),
)


def told(layout: Layout, salt: bytes = SALT) -> LayoutRevision:
    return revision_of(layout, file="/home/ada/s.yml", by="ada@h", at=7.0, salt=salt)


def test_each_entry_says_what_it_is() -> None:
    revision = told(LAYOUT)
    assert (revision.by, revision.at, revision.file) == ("ada@h", 7.0, "s.yml")
    entries = revision.entries
    assert entries["task-manager manager"] == {"agents": "1"}
    assert entries["testing"]["agents"] == "1 to 4"
    assert entries["testing"]["depends on"] == "manager"
    assert entries["testing"]["env"].startswith("KEY (")
    assert entries["general"]["agents"] == "3"
    assert entries["general"]["handler noop"] == "its own"
    assert entries["general"]["handler site.build"].startswith("make … (")
    assert entries["general"]["handler site.build timeout"] == "600"
    assert entries["general"]["handler site.build options"].startswith("token (")
    assert entries["general (2)"]["command"].startswith("agent … (")
    assert entries["policy"] == {"approve": "deployment.*", "budget": "day 5"}
    assert entries["defaults"] == {"capacity": "2"}
    assert entries["schedule night"]["does"] == "noop"
    assert entries["schedule night"]["cron"] == "0 3 * * *"


def test_nothing_of_it_gives_a_secret_away() -> None:
    assert b"s3cr3t" not in msgspec.json.encode(told(LAYOUT))
    marks = [told(LAYOUT, salt).entries["testing"]["env"] for salt in (SALT, b"another one, 16b")]
    assert marks[0] != marks[1], "whoever lacks the salt cannot try values out"


@pytest.mark.parametrize(
    ("fact", "change"), [("env", {"env": {"KEY": "other"}}), ("agents", {"max": 5}), ("capacity", {"capacity": 3})]
)
def test_what_changes_changes_its_fact_and_the_whole_and_nothing_else(fact: str, change: dict[str, Any]) -> None:
    changed = replace(LAYOUT.agents[1], **change)
    before, after = told(LAYOUT), told(replace(LAYOUT, agents=[LAYOUT.agents[0], changed, *LAYOUT.agents[2:]]))
    assert before.revision != after.revision
    assert before.entries["testing"].get(fact) != after.entries["testing"][fact]
    rest = [
        {
            (name, f): t
            for name, facts in each.entries.items()
            for f, t in facts.items()
            if (name, f) != ("testing", fact)
        }
        for each in (before, after)
    ]
    assert rest[0] == rest[1]


def test_the_same_layout_has_the_same_mark_and_a_large_one_is_bounded(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "s")
    salt = read_salt(state)
    assert read_salt(state) == salt
    assert told(LAYOUT, salt).revision == told(LAYOUT, salt).revision
    many = [AgentEntry(role=f"r{n}") for n in range(500)]
    large = told(replace(LAYOUT, agents=many))
    assert len(large.entries) == MOST_ENTRIES
    assert large.revision != told(replace(LAYOUT, agents=[*many, AgentEntry(role="one-more")])).revision


def test_who_had_it_run_and_when_makes_no_other_plan() -> None:
    plan = Plan(layout=LAYOUT, path="/l", workdir="/", host="h", session="s", by="ada@h", at=7.0)
    assert replace(plan, by="bob@h", at=8.0).identity() == plan.identity()
    assert replace(plan, session="t").identity() != plan.identity()
