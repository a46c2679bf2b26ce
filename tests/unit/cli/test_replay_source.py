"""A recording as the screen's source: what was, asked for as of a swarm that runs."""

from swarm_tui.cli.recording import Line
from swarm_tui.cli.replay_source import ReplaySource
from swarm_tui.client.past import Past
from swarm_tui.domain.problems import problems
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import Heartbeat
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.model.source import Facts


def test_no_broker_is_lost_at_a_moment_of_a_recording() -> None:
    writer = codec.Writer("s", "a", "docs", new_id=lambda: "1", clock=lambda: 100.0)
    out = writer.message(Kind.HEARTBEAT, Heartbeat(agent_id="a"))
    lines = [Line(at=at, topic=out.topic, payload=out.payload) for at in (100.0, 110.0)]
    facts = Facts(swarm="s", broker="recording r", recording=True, recorded=(100.0, 110.0))
    source = ReplaySource(facts, lines, lambda: 100.0)
    moment = Past(lambda query, args, _: source.query(query, args), "s", kept=9).moment(105.0)
    assert moment.fleet.broker_up
    assert problems(moment.fleet, 105.0) == []
