"""Every act of the screen, as the registry lists them."""

from swarm_tui.ui.acts.agents import AGENT_ACTS
from swarm_tui.ui.acts.asks import ASK_ACTS
from swarm_tui.ui.acts.filters import FILTER_ACTS
from swarm_tui.ui.acts.navigation import NAVIGATION_ACTS
from swarm_tui.ui.acts.pages import PAGE_ACTS
from swarm_tui.ui.acts.problems import PROBLEM_ACTS
from swarm_tui.ui.acts.runs import RUN_ACTS
from swarm_tui.ui.acts.scaling import SCALE_ACTS
from swarm_tui.ui.acts.swarm import SWARM_ACTS
from swarm_tui.ui.acts.tasks import TASK_ACTS
from swarm_tui.ui.acts.time import TIME_ACTS
from swarm_tui.ui.acts.view import VIEW_ACTS
from swarm_tui.ui.acts.work import WORK_ACTS

ALL = (
    *PAGE_ACTS,
    *TASK_ACTS,
    *ASK_ACTS,
    *WORK_ACTS,
    *RUN_ACTS,
    *AGENT_ACTS,
    *SCALE_ACTS,
    *SWARM_ACTS,
    *PROBLEM_ACTS,
    *NAVIGATION_ACTS,
    *VIEW_ACTS,
    *FILTER_ACTS,
    *TIME_ACTS,
)
