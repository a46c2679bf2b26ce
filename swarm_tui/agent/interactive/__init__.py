"""An agent CLI's own full screen in the agent's pane: its process, its hooks, its turns as tasks."""
