"""An agent's log: kept over its restarts, followed while it grows."""

from rich.segment import Segment
from rich.style import Style

from swarm_tui.ui.desk.capabilities import Follows, HasAgents, Numbered
from swarm_tui.ui.look.sgr import parse
from swarm_tui.ui.look.text import Parts
from swarm_tui.ui.screens.page import PageScreen
from swarm_tui.ui.widgets.page import Line

LINES = 2_000


class LogScreen(PageScreen, HasAgents, Follows, Numbered):
    """The last lines; it follows unless scrolled away from the end."""

    SCOPE = "agent"
    PAGE = "logs"
    UPWARD = True

    def turn_to(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self.written: list[str] | None = []
        self.read = False
        self.page.tail = True

    def begin(self) -> None:
        agent = self.agent_id
        self.desk.in_thread(lambda: self.desk.source.log(agent, LINES), lambda came: self._got(agent, came))

    def _got(self, agent: str, lines: list[str] | None) -> None:
        if agent == self.agent_id and self.is_mounted and (lines != self.written or not self.read):
            self.read = True
            self.page.tail = self.page.cursor >= self.page.count() - 1
            self.written = lines
            self.renew()

    def tick(self, now: float) -> None:
        self.begin()

    def follow(self) -> None:
        self.page.last()

    def numbered(self) -> int:
        return len(self.desk.main.agents_listed())

    def go_agent(self, number: int) -> None:
        self.page.leave()
        self.turn_to(self.desk.main.agents_listed()[number - 1])
        self.begin()
        self.renew()

    def agent_ids(self) -> list[str]:
        return [self.agent_id]

    def title_parts(self, width: int) -> Parts:
        says = f"{self.told('follow')} follows, {self.told('attach')} attaches"
        return self.titled("LOG", self.agent_id, [Segment(says, self.desk.look["quiet"])])

    def lay(self, width: int) -> list[Line]:
        look = self.desk.look
        if self.written is None:
            return [
                (
                    [
                        Segment(
                            f"  The log of {self.agent_id} is not on this host, and its supervisor did not answer.",
                            look["quiet"],
                        )
                    ],
                    None,
                )
            ]
        lines: list[Line] = []
        style = Style()
        for raw in self.written:
            segments, style = parse(raw, style)
            lines.append(([Segment(" "), *segments], None))
        nothing = "  Nothing written yet" if self.read else f"  Opening: reading the log of {self.agent_id}…"
        return lines or [([Segment(nothing, look["quiet"])], None)]
