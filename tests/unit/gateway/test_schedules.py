"""Schedules over HTTP: seen by all who may look, acted on with the token alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from swarm_tui.protocol.rows import ScheduleRow
from tests.unit.gateway.conftest import Dispatcher, Visitor


def test_schedules_are_listed_and_acted_on_for_a_person_alone(
    open_door: Callable[..., Any], visitor: Visitor, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    open_door()
    dispatcher.schedules["s"] = ScheduleRow(name="s", cron="0 3 * * *", what="noop", next_at=5.0)
    (row,) = visitor.get("/schedules").json
    assert (row["name"], row["next_at"], row["fired"]) == ("s", 5.0, 0)
    assert visitor.ask("POST", "/schedules/s/fire", {}).status == 401
    token = {"Authorization": f"Bearer {(tmp_path / 'state' / 'gateway.token').read_text().strip()}"}
    assert visitor.ask("POST", "/schedules/s/fire", {}, **token).json["fired"] == 1
    assert visitor.ask("POST", "/schedules/s/pause", {}, **token).json["paused"] is True
    refused = visitor.ask("POST", "/schedules/s/fire", {}, **token)
    assert (refused.status, refused.json["error"]) == (409, "fire of the schedule was refused: no")
    assert visitor.ask("POST", "/schedules/s/resume", {}, **token).json["paused"] is False
    assert visitor.ask("POST", "/schedules/other/fire", {}, **token).status == 404
    assert visitor.ask("POST", "/schedules/s/drop", {}, **token).status == 404
    assert visitor.ask("POST", "/schedules/s/fire", b"", Content_Type="text/plain", **token).status == 415


def test_without_a_dispatcher_schedules_are_not_known(open_door: Callable[..., Any], visitor: Visitor) -> None:
    open_door()
    assert visitor.get("/schedules").status == 503
