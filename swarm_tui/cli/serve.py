"""`swarm-tui serve`: the screen in a browser on this machine, behind a token."""

import os
import secrets
import shlex
from typing import TYPE_CHECKING

import click

from swarm_tui.cli.common import FAILED, USAGE, Failure, broker_option, note, swarm_option, target
from swarm_tui.cli.number_types import Whole
from swarm_tui.config.own_process import own_argv

if TYPE_CHECKING:
    from aiohttp import web
    from aiohttp.typedefs import Handler, Middleware

_COOKIE = "swarm_tui_token"
_NAMES = ("127.0.0.1", "localhost", "[::1]")


@click.command(epilog="Example: swarm-tui serve --port 8765")
@click.argument("name", metavar="[SWARM]", required=False)
@swarm_option
@broker_option
@click.option("--port", type=Whole(1, 65535), default=8765, show_default=True, help="On 127.0.0.1, nowhere else.")
@click.option("--read-only", is_flag=True, help="Look, and touch nothing.")
def command(name: str | None, swarm: str | None, broker: str | None, port: int, read_only: bool) -> int:
    """The screen in a browser. The line it prints holds a token, made anew each time: without it nobody gets in."""
    found = target(swarm if name is None else name, broker)
    try:
        from textual_serve.server import Server
    except ImportError:
        raise Failure("the browser screen needs one more package: pip install 'swarm-tui[web]'", FAILED) from None
    token = secrets.token_urlsafe(24)

    class Guarded(Server):
        """Only who has the token, from a page of our own, on this machine."""

        def initialize_logging(self) -> None:
            """Its log would show each request's address, and so the token."""

        async def on_startup(self, app: "web.Application") -> None:
            note(f"{found.swarm} in your browser: http://127.0.0.1:{port}/?token={token}")
            note("Ctrl-C ends it; the swarm runs on")

        async def _make_app(self) -> "web.Application":
            app = await super()._make_app()
            app.middlewares.append(guard(token, port))
            return app

    # Each page starts a process of its own, which finds the broker in its environment, not on its command line.
    os.environ["MQTT_BROKER"] = found.broker.url
    speaks_by = [] if found.identity is None else ["--identity", str(found.identity.absolute())]
    words = own_argv("swarm_tui", "screen", "--swarm", found.swarm, *speaks_by, *(["--read-only"] if read_only else []))
    try:
        Guarded(shlex.join(words), host="127.0.0.1", port=port, title=f"swarm {found.swarm}").serve()
    except OSError as error:
        raise Failure(f"port {port} cannot be had ({error.strerror}): choose another with --port", USAGE) from None
    return 0


def guard(token: str, port: int) -> "Middleware":
    """Lets in who brings the token, by address once and by cookie from then on; refuses foreign pages and names."""
    from aiohttp import web

    hosts = {f"{name}:{port}" for name in _NAMES}

    @web.middleware
    async def check(request: "web.Request", handler: "Handler") -> "web.StreamResponse":
        origin = request.headers.get("Origin")
        if request.host not in hosts or (origin is not None and origin.removeprefix("http://") not in hosts):
            raise web.HTTPForbidden(text="This screen is served to this machine alone.")
        given = request.query.get("token", "")
        if request.path == "/" and secrets.compare_digest(given.encode(), token.encode()):
            answer = web.HTTPFound("/")
            answer.set_cookie(_COOKIE, token, httponly=True, samesite="Strict")
            raise answer
        if not secrets.compare_digest(request.cookies.get(_COOKIE, "").encode(), token.encode()):
            raise web.HTTPForbidden(text="Open the address that `swarm-tui serve` printed: it holds the token.")
        response: web.StreamResponse = await handler(request)
        if not response.prepared:
            # The page names a font on another machine, which needs not know of us.
            response.headers["Content-Security-Policy"] = f"style-src 'unsafe-inline' http://127.0.0.1:{port}"
        return response

    return check
