"""Share what the parts that start and end processes need."""

from collections.abc import Callable

from swarm_tui.config.model import RestartPolicy
from swarm_tui.supervisor.agent_panes import AgentPanes
from swarm_tui.supervisor.loop import Call, Loop
from swarm_tui.supervisor.unit import Unit

SayEvent = Callable[[str, str, str], None]


class Services:
    """Holds one host's units and the means to run them.

    `say(what, agent_id, reason)` records an event, `changed` tells that rows differ, `drain(unit)` asks an agent over
    the bus to finish and says whether it was asked, `elsewhere(agent_id)` names the other host on which one of that id
    runs, `lost` hears that the tmux server is gone. While `closing`, nothing is started.
    """

    def __init__(
        self,
        loop: Loop,
        agent_panes: AgentPanes,
        figures: RestartPolicy,
        units: dict[str, Unit],
        *,
        say: SayEvent,
        changed: Call,
        drain: Callable[[Unit], bool],
        elsewhere: Callable[[str], str | None],
        lost: Call,
    ) -> None:
        self.loop, self.agent_panes, self.figures, self.units = loop, agent_panes, figures, units
        self.say, self.changed, self.drain, self.elsewhere, self.lost = say, changed, drain, elsewhere, lost
        self.closing = False
