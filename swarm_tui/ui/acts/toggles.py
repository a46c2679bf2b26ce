"""The two ways of acts whose one key turns something over: who types `:stop` means stop, whatever the state."""

from collections.abc import Callable

from msgspec import Struct

from swarm_tui.ui.acts.agents import drains, would_start
from swarm_tui.ui.acts.subjects import names
from swarm_tui.ui.desk.context import Context


class Toggle(Struct, frozen=True):
    """The act that goes this way as long as `holds`; `else_` says what is so otherwise."""

    act: str
    holds: Callable[[Context], bool]
    else_: Callable[[Context], str]

    def why_not(self, context: Context) -> str | None:
        """Return why the act would go the other way."""
        return None if self.holds(context) else self.else_(context)


def _halted(context: Context) -> bool:
    return context.model.fleet.halted is not None


def _who(context: Context) -> str:
    return f"{names(context.agents)} {'is' if len(context.agents) == 1 else 'are'}"


TOGGLES = {
    "start": Toggle("start_stop", would_start, lambda c: f"{_who(c)} not down"),
    "stop": Toggle("start_stop", lambda c: not would_start(c), lambda c: f"{_who(c)} down already"),
    "drain": Toggle("drain", lambda c: not drains(c), lambda c: f"{_who(c)} draining already"),
    "undrain": Toggle("drain", drains, lambda c: f"{_who(c)} not draining"),
    "halt": Toggle("halt", lambda c: not _halted(c), lambda _: "the swarm is halted already"),
    "resume": Toggle("halt", _halted, lambda _: "the swarm is not halted"),
}
