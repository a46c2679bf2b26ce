"""The order of the main screen's rows, their groups and marks, and the map of its agents."""

from swarm_tui.ui.desk.capabilities import TURNED, Groupable, Sortable
from swarm_tui.ui.screens.panels import PanelScreen
from swarm_tui.ui.widgets.table import Table


class GroupedPanels(PanelScreen, Groupable, Sortable):
    """Panels whose rows can be sorted and put in groups: those of the panel that has the focus."""

    def sort(self, column: str | None = None) -> str | None:
        """Sort the rows that have the focus by the column, or the next one; why not, as a sentence."""
        table = self.lines
        if not isinstance(table, Table):
            return Sortable.LACKS
        if column is None:
            table.order.next()
        elif column == TURNED:
            table.order.turn()
        elif not table.order.choose(column):
            return f"{table.NOUN} are sorted by {', '.join(name.lower() for name in table.order.names)}"
        table.sort()
        self.desk.state.sorts[table.NOUN] = table.order.saved
        return None

    def group(self, name: str | None = None) -> str | None:
        """Group the rows that have the focus; return why not, as a sentence."""
        table = self.lines
        if not isinstance(table, Table):
            return Groupable.LACKS
        names = [*table.GROUPS, ""]
        if name is None:
            name = names[(names.index(table.grouping) + 1) % len(names)]
        elif (name := name.lower().removeprefix("none")) not in names:
            return f"{table.NOUN} are grouped by {', '.join(table.GROUPS)} or none"
        table.group_by(name)
        self.desk.state.groups[table.NOUN] = name
        self.fit_panels()
        return None

    def why_not_fold(self) -> str | None:
        grouped = isinstance(table := self.lines, Table) and table.grouping
        return None if grouped else f"there are no groups: {self.told('group')} makes some"

    def fold_all(self) -> None:
        if isinstance(table := self.lines, Table):
            table.fold_all()
            self.fit_panels()

    def turn_map(self) -> None:
        self.agents.show_map(not self.agents.mapped)
        self.fit_panels()

    def step(self, by: int) -> None:
        self.agents.step(by)

    def why_no_cells(self) -> str | None:
        return None if self.agents.mapped else f"there are no cells here: {self.told('heat_map')} shows agents as cells"

    def mark(self) -> None:
        """Mark the line, and go on."""
        if isinstance(table := self.lines, Table):
            table.mark()
            self.renew_footer()

    def mark_all(self) -> None:
        """Mark all that show, or none."""
        table = self.lines
        if isinstance(table, Table):
            marks, ids = self.model.marks[table.NOUN], set(table.rows.ids())
            self.model.marks[table.NOUN] = set() if marks >= ids else ids
            table.redraw()
