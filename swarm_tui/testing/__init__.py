"""Test your own handlers: alone, as the runtime runs them, or in a whole swarm that lives in memory.

    from swarm_tui import testing

    async def test_build(tmp_path):
        done = await testing.run(Build, {"target": "docs"}, workdir=tmp_path)
        assert done.result == {"pages": 3}
        assert "building docs" in done.output

    def test_build_in_a_swarm():
        with testing.Swarm({"site.build": Build}) as swarm:
            assert swarm.run("site.build", {"target": "docs"}).error is None

No broker, no tmux and no network is needed. Nothing of swarm-tui itself imports this package.
"""

from swarm_tui.testing.attempt import Attempt, Done, RecordingContext, context, run, start
from swarm_tui.testing.memory_swarm import Swarm

__all__ = ["Attempt", "Done", "RecordingContext", "Swarm", "context", "run", "start"]
