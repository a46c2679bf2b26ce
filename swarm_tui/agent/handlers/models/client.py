"""A question to a language model: OpenAI-compatible endpoints (Ollama, vLLM, OpenRouter …) and Anthropic's."""

import asyncio
import contextlib
import os
import random
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, MissingToolError

if TYPE_CHECKING:
    import httpx

INSTALL = "python -m pip install 'swarm-tui[llm]'"
TRIES = 4
_URLS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
_KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}


class ModelOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The layout's `options.llm`. Prices are US dollars for a million tokens; without them no cost is metered."""

    model: str
    provider: Literal["openai", "anthropic"] = "openai"
    base_url: str | None = None
    api_key_env: str | None = None
    """The name of the variable that holds the key; never the key itself."""
    max_tokens: int = 4096
    timeout: float = 120.0
    price_in: float = 0.0
    price_out: float = 0.0

    @property
    def url(self) -> str:
        return (self.base_url or _URLS[self.provider]).rstrip("/")

    @property
    def key_name(self) -> str:
        return self.api_key_env or _KEYS[self.provider]

    @property
    def key(self) -> str | None:
        return os.environ.get(self.key_name) or None


class Answer(Struct, frozen=True, kw_only=True):
    """The model's words, and what they took."""

    text: str
    model: str
    tokens_in: int
    tokens_out: int
    cost: float
    finish: str = ""


def why_not(options: ModelOptions | None) -> str | None:
    """Return why no model can be asked, as a sentence; None when one can."""
    if options is None:
        return "no model is configured: give the layout's handler `options: {llm: {provider, model}}`"
    if options.key is None and not _local(options.url):
        return f"no key: {options.key_name} is not set in the agent's environment"
    return None


async def ask(context: Context, options: ModelOptions, prompt: str, system: str = "") -> Answer:
    """Ask once, with retries where the endpoint asks for patience, and meter tokens and cost.

    Raises MissingToolError without the library, HandlerError: `cancelled`, `llm-key`, `llm-refused`, `llm` (retryable).
    """
    if reason := why_not(options):
        raise HandlerError(reason, code="llm-key")
    work = asyncio.ensure_future(_ask(context, options, prompt, system))
    stop: asyncio.Future[Any] = asyncio.ensure_future(context.cancel.wait())
    try:
        left = context.deadline - asyncio.get_running_loop().time()
        await asyncio.wait([work, stop], timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            code = "cancelled" if stop.done() else "timeout"
            raise HandlerError(f"the model had not answered: {code}", code=code)
        answer = work.result()
    finally:
        work.cancel()
        stop.cancel()
        await asyncio.gather(work, stop, return_exceptions=True)
    context.usage(answer.tokens_in + answer.tokens_out, answer.cost)
    return answer


async def _ask(context: Context, options: ModelOptions, prompt: str, system: str) -> Answer:
    try:
        import httpx
    except ImportError as error:
        raise MissingToolError("httpx", INSTALL) from error
    path, headers, body = _request(options, prompt, system)
    problem = ""
    async with httpx.AsyncClient(timeout=options.timeout, headers=headers) as client:
        for attempt in range(TRIES):
            wait = 0.5 * 2**attempt * random.uniform(0.5, 1.5)
            try:
                response = await client.post(options.url + path, json=body)
            except httpx.HTTPError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if response.status_code < 300:
                    return _answer(options, response)
                problem, wait = _problem(options, response, wait)
            if attempt + 1 < TRIES:
                context.log(f"model: {problem}; again in {wait:.1f} s")
                await asyncio.sleep(wait)
    raise HandlerError(f"{options.url} did not answer: {problem}", code="llm", retryable=True)


def _request(options: ModelOptions, prompt: str, system: str) -> tuple[str, dict[str, str], dict[str, Any]]:
    messages = [{"role": "user", "content": prompt}]
    body: dict[str, Any] = {"model": options.model, "max_tokens": options.max_tokens}
    key = options.key
    if options.provider == "anthropic":
        headers = {"anthropic-version": "2023-06-01", **({"x-api-key": key} if key else {})}
        return "/v1/messages", headers, {**body, "messages": messages, **({"system": system} if system else {})}
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return "/chat/completions", ({"Authorization": f"Bearer {key}"} if key else {}), {**body, "messages": messages}


def _problem(options: ModelOptions, response: "httpx.Response", wait: float) -> tuple[str, float]:
    """Return (what is wrong, seconds to wait). Raises HandlerError where another try is of no use."""
    status, said = response.status_code, response.text[:300]
    if status in (401, 403):
        raise HandlerError(f"{options.url} refuses the key in {options.key_name}: {status}", code="llm-key")
    if status not in (408, 409, 425, 429) and status < 500:
        raise HandlerError(f"{options.url} refuses the request: {status} {said}", code="llm-refused")
    with contextlib.suppress(ValueError):
        wait = max(wait, min(60.0, float(response.headers.get("retry-after", ""))))
    return f"{status} {said}", wait


def _answer(options: ModelOptions, response: "httpx.Response") -> Answer:
    try:
        body = response.json()
        usage = body.get("usage") or {}
        if options.provider == "anthropic":
            text = "".join(part.get("text", "") for part in body["content"] if part.get("type") == "text")
            tokens = int(usage.get("input_tokens") or 0), int(usage.get("output_tokens") or 0)
            finish = str(body.get("stop_reason") or "")
        else:
            choice = body["choices"][0]
            text = choice["message"].get("content") or ""
            tokens = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
            finish = str(choice.get("finish_reason") or "")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise HandlerError(f"{options.url} answers in another shape: {error!r}", code="llm-refused") from error
    cost = (tokens[0] * options.price_in + tokens[1] * options.price_out) / 1_000_000
    model = str(body.get("model") or options.model)
    return Answer(text=text, model=model, tokens_in=tokens[0], tokens_out=tokens[1], cost=cost, finish=finish)


def json_in(text: str) -> str:
    """Return from the first brace of an answer to its last: models put words and fences round their JSON."""
    first = text.find("{")
    return text[first : text.rfind("}") + 1] if first >= 0 else ""


def _local(url: str) -> bool:
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
