"""Mail over HTTP: written for a person with the token alone, listed with its receipts, refused with a sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.agent.roles.api_gateway import mails
from swarm_tui.agent.roles.api_gateway.role import ApiGateway
from swarm_tui.protocol.mail_bodies import MessageNew
from tests.unit.gateway.conftest import Answer, Dispatcher, Visitor

Opener = Callable[..., ApiGateway]
Post = Callable[..., Answer]


@pytest.fixture
def post(open_door: Opener, visitor: Visitor, dispatcher: Dispatcher, tmp_path: Path) -> Post:
    open_door()
    assert visitor.get("/messages").json == []
    token = (tmp_path / "state" / "gateway.token").read_text().strip()

    def send(right: str = token, **body: Any) -> Answer:
        return visitor.ask("POST", "/messages", body, **({"Authorization": f"Bearer {right}"} if right else {}))

    return send


def test_a_message_is_written_as_a_person_and_shown(post: Post, visitor: Visitor, dispatcher: Dispatcher) -> None:
    answer = post(to="a1", text="hello", expects_answer=True, message_id="mine")
    assert (answer.status, answer.json) == (202, {"message_id": "mine", "state": "accepted", "receivers": ["a1"]})
    ((sender, body),) = dispatcher.letters
    assert sender.startswith("operator:web")
    assert body == MessageNew(message_id="mine", to="a1", text="hello", expects_answer=True)
    (row,) = visitor.get("/messages?agent=a1").json
    assert (row["message_id"], row["text"], row["to"]) == ("mine", "hello", "a1")
    assert visitor.get("/messages/mine").json == row
    assert visitor.get("/messages/other").status == 404


@pytest.mark.parametrize("token", ["", "wrong"])
def test_nobody_writes_without_the_token(post: Post, dispatcher: Dispatcher, token: str) -> None:
    answer = post(token, to="a1", text="hello")
    assert (answer.status, "to speak for a person" in answer.json["error"]) == (401, True)
    assert dispatcher.letters == []


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"to": "nobody", "text": "x"}, 404, "no agent and no role"),
        ({"to": "a1"}, 422, "text"),
        ({"to": "a1", "text": "x", "sender": "boss"}, 422, "unknown field"),
        ({"to": "a1", "text": "x", "message_id": "a b"}, 422, "message_id"),
        ({"to": "a1", "text": "x" * 70_000}, 413, "at most"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_a_sentence(
    post: Post, body: dict[str, Any], status: int, says: str
) -> None:
    answer = post(**body)
    assert (answer.status, says in answer.json["error"]) == (status, True), answer.json


def test_without_a_dispatcher_it_says_so(post: Post, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mails, "ACCEPT_WITHIN", 0.2)
    dispatcher.silent = True
    assert post(to="a1", text="x").status == 503
