"""The last line: what the keys do here and now, or the latest notice."""

from typing import TYPE_CHECKING

from rich.segment import Segment

from swarm_tui.ui.lines import Parts
from swarm_tui.ui.text import fit
from swarm_tui.ui.widgets.still import Still

if TYPE_CHECKING:
    from swarm_tui.ui.screens.base import SwarmScreen


class Footer(Still):
    """One line. Acts that cannot act here are left out."""

    DEFAULT_CSS = "Footer { height: 1; background: $panel; dock: bottom; }"

    def lines(self, width: int) -> list[Parts]:
        screen: SwarmScreen = self.screen  # type: ignore[assignment]
        notice = screen.swarm_app.notices.current()
        if notice is not None:
            style = "bad" if notice.bad else "accent"
            return [[Segment(fit(f" {'✗' if notice.bad else '›'} {notice.text}", width), self.look[style])]]
        return [self._keys(screen, width)]

    def _keys(self, screen: "SwarmScreen", width: int) -> Parts:
        app, context = screen.swarm_app, screen.context()
        acts = [act for act in app.registry.here(screen.scope) if act.rank and act.why_not(context) is None]
        parts: Parts = [Segment(" ")]
        used = 1
        for act in sorted(acts, key=lambda act: act.rank):
            key = app.registry.key_text(act.name)
            size = len(key) + len(act.label) + 3
            if not key or used + size > width:
                continue
            parts += [Segment(key, self.look["key"]), Segment(f" {act.label}  ", self.look["quiet"])]
            used += size
        return parts
