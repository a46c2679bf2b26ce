"""llm, and the model's part of other roles: against a local server that speaks both protocols."""

import asyncio
import json

import pytest
from aiohttp import web

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.docs.generate import MARK, Generate
from swarm_tui.agent.handlers.models.llm import Llm
from swarm_tui.agent.handlers.review.review import Review


class Server:
    """Answers as OpenAI's chat completions and Anthropic's messages do; `plan` holds statuses to give first."""

    def __init__(self):
        self.requests, self.plan, self.text, self.hang = [], [], "hello", False

    async def answer(self, request):
        body = await request.json()
        self.requests.append((request.path, dict(request.headers), body))
        if self.hang:
            await asyncio.sleep(60)
        if self.plan:
            return web.Response(status=self.plan.pop(0), text="busy", headers={"Retry-After": "0"})
        if request.path == "/v1/messages":
            usage = {"input_tokens": 11, "output_tokens": 4}
            content = [{"type": "text", "text": self.text}]
            answer = {"type": "message", "model": body["model"], "content": content, "usage": usage}
            return web.json_response({**answer, "stop_reason": "end_turn"})
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
        choice = {"index": 0, "message": {"role": "assistant", "content": self.text}, "finish_reason": "stop"}
        return web.json_response({"model": body["model"], "choices": [choice], "usage": usage})


def run(bench, server, handler, type_, payload, *, provider="openai", cancel=False, **more):
    async def go():
        app = web.Application()
        app.router.add_post("/{path:.*}", server.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        base = f"http://127.0.0.1:{port}" + ("/v1" if provider == "openai" else "")
        llm = {"provider": provider, "model": "m", "base_url": base, "price_in": 1.0, "price_out": 2.0, **more}
        try:
            context = bench.context(type_, payload, options={"llm": llm})
            task = asyncio.ensure_future(handler.run(context))
            if cancel:
                while not server.requests and not task.done():
                    await asyncio.sleep(0.01)
                context.cancel.set()
            return await task
        finally:
            await runner.cleanup()

    return asyncio.run(go())


def test_openai_compatible(bench, monkeypatch):
    monkeypatch.setenv("MY_KEY", "k")
    server = Server()
    result = run(bench, server, Llm(), "llm", {"prompt": "hi", "system": "be short"}, api_key_env="MY_KEY")
    usage = {"tokens": 12, "cost": pytest.approx(15e-6)}
    assert result == {"text": "hello", "model": "m", "finish": "stop", "usage": usage}
    path, headers, body = server.requests[0]
    assert (path, headers["Authorization"]) == ("/v1/chat/completions", "Bearer k")
    assert body["messages"] == [{"role": "system", "content": "be short"}, {"role": "user", "content": "hi"}]
    assert bench.heard.usage == [(12, pytest.approx(15e-6))]


def test_anthropic(bench, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    server = Server()
    result = run(bench, server, Llm(), "llm", {"prompt": "hi", "system": "be short"}, provider="anthropic")
    assert (result["text"], result["usage"]["tokens"]) == ("hello", 15)
    path, headers, body = server.requests[0]
    assert (path, headers["x-api-key"], headers["anthropic-version"]) == ("/v1/messages", "k", "2023-06-01")
    assert (body["system"], body["messages"]) == ("be short", [{"role": "user", "content": "hi"}])


def test_patience_where_the_server_asks_for_it(bench):
    server = Server()
    server.plan = [429, 503]
    assert run(bench, server, Llm(), "llm", {"prompt": "hi"})["text"] == "hello"
    assert len(server.requests) == 3


@pytest.mark.parametrize(("status", "code"), [(401, "llm-key"), (400, "llm-refused")])
def test_refusals_are_final(bench, status, code):
    server = Server()
    server.plan = [status] * 9
    with pytest.raises(HandlerError) as caught:
        run(bench, server, Llm(), "llm", {"prompt": "hi"})
    assert (caught.value.code, caught.value.retryable, len(server.requests)) == (code, False, 1)


def test_cancel_does_not_wait_for_the_model(bench):
    server = Server()
    server.hang = True
    with pytest.raises(HandlerError) as caught:
        run(bench, server, Llm(), "llm", {"prompt": "hi"}, cancel=True)
    assert caught.value.code == "cancelled"


def test_without_a_model_or_a_key_it_says_so(bench, monkeypatch):
    with pytest.raises(HandlerError, match="no model is configured"):
        bench.run(Llm(), "llm", {"prompt": "hi"})
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(HandlerError, match="OPENAI_API_KEY is not set"):
        bench.run(Llm(), "llm", {"prompt": "hi"}, options={"llm": {"model": "m"}})


def test_a_review_takes_the_models_comments_on_new_lines_only(bench):
    bench.write("app.py", '"""App."""\n')
    bench.commit()
    bench.write("app.py", '"""App."""\n\nVALUE = 1\n')
    server = Server()
    comments = [
        {"file": "app.py", "line": 3, "severity": "error", "message": "wrong value"},
        {"file": "app.py", "line": 1, "severity": "error", "message": "old line"},
        {"file": "other.py", "line": 1, "severity": "info", "message": "elsewhere"},
    ]
    server.text = (
        "```json\n" + json.dumps({"approved": False, "comments": comments, "suggestions": ["test it"]}) + "\n```"
    )
    result = run(bench, server, Review(), "code.review", {})
    assert [(c["file"], c["line"], c["tool"]) for c in result["comments"]] == [("app.py", 3, "m")]
    assert result["suggestions"] == ["test it", "app.py:1: old line", "other.py:1: elsewhere"]
    assert (result["approved"], result["model"]) == (False, {"used": True, "model": "m"})
    server.text = "I think it is fine."
    result = run(bench, server, Review(), "code.review", {})
    assert (result["approved"], result["verdict"], result["model"]["used"]) == (False, "unknown", False)


def test_the_docs_page_gets_the_models_draft(bench):
    bench.write("app.py", '"""App."""\n')
    server = Server()
    server.text = "It does things."
    run(bench, server, Generate(), "documentation.generate", {})
    page = (bench.workdir / "docs/api.md").read_text()
    assert page.startswith(f"{MARK}\n\n# API\n\nIt does things.\n\n*Drafted by m.*\n\n## `app.py`")
