"""Help: what works where the user was, from the registry, and what the words mean."""

from collections.abc import Mapping

from rich.segment import Segment

from swarm_tui.ui.desk.actions import Action, pretty
from swarm_tui.ui.look import glyphs
from swarm_tui.ui.look.text import Parts, fit, wrapped
from swarm_tui.ui.look.words import AGENT_STATE, TASK_STATE, WORDS, keyed
from swarm_tui.ui.screens.page import PageScreen
from swarm_tui.ui.widgets.page import Line, rule

_GROUPS = {
    "pages": "Open", "tasks": "Tasks", "agents": "Agents", "swarm": "Swarm", "view": "View", "move": "Move",
    "screen": "Screen", "form": "Form", "time": "Back in time",
}  # fmt: skip


class HelpScreen(PageScreen):
    """Acts that have effect in `about` first; `/` searches."""

    SCOPE = "help"
    PAGE = "help"
    ASIDE = True

    def turn_to(self, about: str, reasons: Mapping[str, str]) -> None:
        self.about = about
        self.reasons = reasons
        """Why acts cannot be done to what was at hand."""
        self.needle = ""

    def title_parts(self, width: int) -> Parts:
        more = f"/{self.needle}" if self.needle else f"{self.told('filter')} searches, {self.told('back')} closes"
        return self.titled("HELP", f"what works here: {self.about}", [Segment(more, self.desk.look["quiet"])])

    def lay(self, width: int) -> list[Line]:
        lines = [*self._acts(width), *self._states(width), *self._words(width)]
        return lines or [([Segment(f"  Nothing here has {self.needle!r}", self.desk.look["quiet"])], None)]

    def _acts(self, width: int) -> list[Line]:
        desk, lines = self.desk, []
        for group, title in _GROUPS.items():
            rows: list[Line] = []
            for act in desk.registry.here(self.about):
                keys = " ".join(pretty(key) for key in desk.registry.keys(act.name))
                if (
                    act.group == group
                    and self._has(f"{keys} {act.label} {act.help}")
                    and not act.name.startswith("agent_")
                ):
                    rows += self._act(act, keys, width)
            ends = f"{desk.registry.key_text('agent_1')} … {desk.registry.key_text('agent_9')}"
            if group == "move" and self._has(f"{ends} agent"):
                rows += self._row(ends, "agent", "Select agent number 1 to 9.", width)
            if rows:
                lines += [rule(title, width, self.page), *rows]
        return lines

    def _act(self, act: Action, keys: str, width: int) -> list[Line]:
        reason = self.reasons.get(act.name)
        return self._row(keys, act.label, f"{act.help} (not now: {reason})" if reason else act.help, width)

    def _row(self, keys: str, label: str, help: str, width: int) -> list[Line]:
        look = self.desk.look
        room = max(20, width - 32)
        words = wrapped(help, room)
        first = [
            Segment("  "),
            Segment(fit(keys, 11), look["key"]),
            Segment(fit(label, 18), look["strong"]),
            Segment(words[0]),
        ]
        return [(first, None), *(([Segment(" " * 31 + more)], None) for more in words[1:])]

    def _states(self, width: int) -> list[Line]:
        look, lines = self.desk.look, []
        for title, table, meaning in (
            ("Agent states", glyphs.AGENT, AGENT_STATE),
            ("Task states", glyphs.TASK, TASK_STATE),
        ):
            rows: list[Line] = []
            for state, (glyph, style) in table.items():
                text = keyed(meaning[state], self.told)  # type: ignore[index]
                if self._has(f"{state.value} {text}"):
                    words = wrapped(text, max(20, width - 25))
                    rows.append(
                        (
                            [
                                Segment(f"  {glyph} ", look[style]),
                                Segment(fit(state.value, 20), look[style]),
                                Segment(words[0]),
                            ],
                            None,
                        )
                    )
                    rows += [([Segment(" " * 24 + more)], None) for more in words[1:]]
            if rows:
                lines += [rule(title, width, self.page), *rows]
        return lines

    def _words(self, width: int) -> list[Line]:
        look = self.desk.look
        rows: list[Line] = []
        for word, text in WORDS.items():
            if self._has(f"{word} {text}"):
                parts = wrapped(text, max(20, width - 19))
                rows.append(([Segment(f"  {fit(word, 16)}", look["strong"]), Segment(parts[0])], None))
                rows += [([Segment(" " * 18 + more)], None) for more in parts[1:]]
        return [rule("Words", width, self.page), *rows] if rows else []

    def _has(self, text: str) -> bool:
        return self.needle.lower() in text.lower()

    def ask_filter(self) -> None:
        self.ask("filter help:", self.needle, self._search, self._search)

    def set_filter(self, text: str) -> bool:
        self._search(text)
        return True

    def _search(self, text: str) -> None:
        self.needle = text
        self.renew()

    def back(self) -> None:
        if self.needle:
            self._search("")
        else:
            super().back()
