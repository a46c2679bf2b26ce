"""Layouts: every mistake at its place, all at once, and what a good one means."""

from base64 import b64encode
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.config.document import parse_document
from swarm_tui.config.errors import ConfigError, UnknownLayoutError
from swarm_tui.config.load import find_layout, known_layouts, layout_schema, load_layout, shipped_layouts
from swarm_tui.config.model import Layout
from swarm_tui.config.paths import config_home, state_dir
from swarm_tui.config.resolve import run_specs, session_name
from swarm_tui.config.shape import to_struct

HEAD = "swarm: s\n"


def mistakes(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> list[tuple[int, int, str]]:
    path = tmp_path / "layout.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_layout(path, environ or {})
    assert all(problem.file == str(path) for problem in caught.value.problems)
    return [(problem.line, problem.column, problem.reason) for problem in caught.value.problems]


def load(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Layout:
    path = tmp_path / "layout.yml"
    path.write_text(text)
    return load_layout(path, environ or {}).layout


def test_a_role_that_is_nearly_one_of_ours_is_told(tmp_path: Path) -> None:
    path = tmp_path / "layout.yml"
    path.write_text(
        HEAD + "agents: [{role: taskmanager}, {role: tester, command: [x]}, {role: juggler}, {role: test}]\n"
    )
    assert load_layout(path, {}).notes == [
        "`taskmanager` is a role of your own, and does no task; did you mean `task-manager`?"
    ]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("swarm: s\nagents: [\n", 3, "not YAML"),
        ("swarm: s\n\tagents: []\n", 2, "indent with spaces"),
        ("swarm: s\nswarm: t\nagents: [{role: docs}]\n", 2, "the key `swarm` is there twice"),
        ("sawrm: s\nagents: [{role: docs}]\n", 1, "unknown key `sawrm`; did you mean `swarm`?"),
        ("swarm: s\ndefaults: {timeout: 1e999}\nagents: [{role: docs}]\n", 2, "`1e999` is too large a number"),
        ("swarm: s\ndefaults: {timeout: 1e300}\nagents: [{role: docs}]\n", 2, "`timeout` is at most 315360000"),
        ("swarm: s\nworkdir: ~nosuchuser/x\nagents: [{role: docs}]\n", 2, "`~nosuchuser` is nobody's home here"),
        ("swarm: s\nagents:\n  - {role: docs, workdir: ~nosuchuser}\n", 3, "nobody's home here"),
        (
            "swarm: s\nbroker:\n  tls: {ca: ~nosuchuser/ca.pem}\nagents: [{role: docs}]\n",
            3,
            "`ca`: `~nosuchuser` is nobody's home here",
        ),
        ("agents: [{role: docs}]\n", 1, "`swarm` is missing"),
        ("swarm: s\nagents: []\n", 2, "at least one"),
        ("swarm: a+b\nagents: [{role: docs}]\n", 1, "may not hold + #"),
        ("swarm: s\nagents:\n  - {id: x}\n", 3, "`role` is missing"),
        ("swarm: s\nagents:\n  - {role: docs, id: a b}\n", 3, "'a b' is not an agent id"),
        (
            "swarm: s\nagents:\n  - {role: docs, id: x}\n  - {role: testing, id: x}\n",
            4,
            "already that of the agent on line 3",
        ),
        ("swarm: s\nagents:\n  - {role: docs, id: docs-01}\n  - {role: testing, id: docs-01}\n", 4, "line 3"),
        ("swarm: s\nagents:\n  - {role: docs, depends_on: [nobody]}\n", 3, "names `nobody`"),
        ("swarm: s\nagents:\n  - {role: docs, id: a, depends_on: {a: started}}\n", 3, "depends on itself"),
        ("swarm: s\nagents:\n  - {role: docs, min: 4, max: 2}\n", 3, "`min` 4 is more than `max` 2"),
        ("swarm: s\nagents:\n  - {role: docs, count: 2, max: 2}\n", 3, "give one of both"),
        ("swarm: s\nagents:\n  - {role: docs, capacity: 0}\n", 3, "`capacity` must be more than 0"),
        ("swarm: s\nagents:\n  - {role: docs, capacity: two}\n", 3, "expected a whole number, got text"),
        ("swarm: s\nagents:\n  - {role: docs, count: 1000000000}\n", 2, "`policy.max_agents` is 64"),
        ("swarm: s\nagents:\n  - {role: docs, min: 1, max: 65}\n", 3, "`max` is more than `policy.max_agents`"),
        ("swarm: s\nagents: [{role: docs}]\npolicy: {record_size: 256}\n", 3, "`record_size` is in bytes"),
        ("swarm: s\nagents: [{role: docs}]\npolicy: {record_age: 0}\n", 3, "`record_age` must be more than 0"),
        ("swarm: s\nagents: [{role: docs}]\npolicy:\n  merge_checks: [a.b, '']\n", 4, "'' is not a task type"),
        ("swarm: s\nsupervisor:\n  silent_after: 19\nagents: [{role: docs}]\n", 3, "give 20 at least"),
        ("swarm: s\naddress: -oProxyCommand=x\nagents: [{role: docs}]\n", 2, "no address for ssh"),
        ("swarm: s\nagents:\n  - {role: docs, restart: onfailure}\n", 3, "did you mean `on-failure`?"),
        ("swarm: s\nagents:\n  - {role: docs, command: []}\n", 3, "its first element is the program"),
        ("swarm: s\nagents:\n  - {role: docs, dialect: seed}\n", 3, "needs a `command`"),
        ("swarm: s\nagents:\n  - {role: docs, command: [x], sandbox: bwrap}\n", 3, "no sandbox of ours: leave it out"),
        (
            "swarm: s\ndefaults: {sandbox: bwrap}\nagents:\n  - {role: docs}\n  - {role: docs, command: [x]}\n",
            5,
            "as `defaults` wants: say `sandbox: none` here",
        ),
        ("swarm: s\nagents:\n  - {role: docs, handlers: {'a b': {}}}\n", 3, "is not a task type"),
        ("swarm: s\nagents:\n  - {role: docs, env: {'1X': y}}\n", 3, "no environment variable's name"),
        ("swarm: s\nbroker: {url: 'http://x'}\nagents: [{role: docs}]\n", 2, "did you mean `ws://`?"),
        ("swarm: s\nbroker: {url: 'mqtt://x:99999'}\nagents: [{role: docs}]\n", 2, "no broker URL"),
        ("swarm: s\nbroker: {url: 'mqtt://'}\nagents: [{role: docs}]\n", 2, "names no host"),
        ("swarm: s\nbroker: {password: x}\nagents: [{role: docs}]\n", 2, "without a `username`"),
        ("swarm: s\nbroker: {tls: {cert: x}}\nagents: [{role: docs}]\n", 2, "belong together"),
        ("swarm: s\nbroker: {password: ${X}}\nagents: [{role: docs}]\n", 2, "put quotes around ${…}"),
        ("swarm: s\nworkdir: ${NOPE}\nagents: [{role: docs}]\n", 2, "${NOPE} is not set"),
        ("swarm: s\nworkdir: ${\nagents: [{role: docs}]\n", 2, "`${` without"),
        ("swarm: s\nsession: a.b\nagents: [{role: docs}]\n", 2, "no tmux session's name"),
        ("swarm: s\nsession: 'a#(id)'\nagents: [{role: docs}]\n", 2, "no tmux session's name"),
        ("swarm: s\nagents: {role: docs}\n", 2, "expected a list"),
        ("just text\n", 1, "expected keys and values"),
        ("", 1, "the file is empty"),
        ("swarm: s\nagents: [{role: docs}]\nx: &a [*a]\n", 3, "this alias holds itself"),
    ],
)
def test_each_mistake_has_its_place_and_its_reason(tmp_path: Path, text: str, line: int, reason: str) -> None:
    found = mistakes(tmp_path, text)
    assert any(at == line and reason in why for at, _, why in found), found


@pytest.mark.parametrize(
    ("raw", "line", "column", "reason"),
    [
        (b"swarm: s\n# \xc3\xa9 \xff\n", 2, 5, "is not UTF-8 (byte 14)"),
        (b"swarm: s\n# \xc3\xa9 \0\n", 2, 5, "the character U+0000"),
        (b"swarm: " + b"[" * 600, 1, 1, "nests too deep"),
    ],
)
def test_what_is_no_text_has_its_place_too(tmp_path: Path, raw: bytes, line: int, column: int, reason: str) -> None:
    path = tmp_path / "layout.yml"
    path.write_bytes(raw)
    with pytest.raises(ConfigError) as caught:
        load_layout(path, {})
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (line, column)
    assert reason in problem.reason


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "layout.yml"
    path.write_text(f"{HEAD}workdir: {tmp_path}\nagents:\n  - {{role: docs, workdir: none}}\n  - {{role: testing}}\n")
    assert load_layout(path, {}).notes == [
        f"{path}:4:18: `workdir`: {tmp_path}/none is not there, so work in it fails: make it"
    ]


def test_other_programs_may_beat_as_often_as_they_like(tmp_path: Path) -> None:
    text = "swarm: s\nsupervisor: {silent_after: 2}\nagents:\n  - {role: docs, command: [x]%s}\n"
    path = tmp_path / "layout.yml"
    path.write_text(text % "")
    assert load_layout(path, {}).layout.supervisor.silent_after == 2.0
    assert mistakes(tmp_path, text % ", wrap: true")


def test_mistakes_of_shape_and_of_meaning_are_told_together(tmp_path: Path) -> None:
    text = "swarm: a#\nsesion: x\nagents:\n  - {role: docs, min: 3, max: 1}\n  - {role: docs, restart: no, id: 'a b'}\n"
    assert [line for line, _, _ in mistakes(tmp_path, text)] == [1, 2, 4, 5, 5]


def test_the_column_is_that_of_the_key(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "swarm: s\nagents:\n  - {role: docs, foo: 1}\n")[0][:2] == (3, 18)


def test_a_circle_of_dependencies_is_named(tmp_path: Path) -> None:
    text = HEAD + (
        "agents:\n  - {role: docs, id: a, depends_on: [b]}\n  - {role: docs, id: b, depends_on: {c: started}}\n"
        "  - {role: testing, id: c, depends_on: [a]}\n"
    )
    assert mistakes(tmp_path, text)[0][2] == "`depends_on` goes in a circle: a → b → c → a"


def test_yaml_reads_words_and_times_as_they_are_written(tmp_path: Path) -> None:
    text = HEAD + (
        "agents:\n  - role: docs\n    env: {A: on, B: 12:30:00, C: 1.10, D: 010, E: true, F: 'x',"
        " G: 2026-01-01, H: no}\n"
        "    command: [make, -j, 4, yes]\n"
    )
    entry = load(tmp_path, text).agents[0]
    assert entry.env == {
        "A": "on", "B": "12:30:00", "C": "1.10", "D": "010", "E": "true", "F": "x", "G": "2026-01-01", "H": "no",
    }  # fmt: skip
    assert entry.command == ["make", "-j", "4", "yes"]


def test_variables_are_filled_in(tmp_path: Path) -> None:
    text = HEAD + (
        "broker: {username: u, password: '${PW}'}\nworkdir: ${DIR:-/tmp}\ndefaults:\n  capacity: ${CAP:-3}\n"
        "agents: [{role: docs, env: {A: $HOME, B: '$${X}', C: '${E:-d}', D: '${N}b'}}]\n"
    )
    layout = load(tmp_path, text, {"PW": "p", "E": "", "N": "n"})
    assert layout.broker.password == "p"
    assert layout.workdir == "/tmp"
    assert layout.defaults.capacity == 3
    assert layout.agents[0].env == {"A": "$HOME", "B": "${X}", "C": "d", "D": "nb"}


def test_quotes_make_a_number_text(tmp_path: Path) -> None:
    text = HEAD + "defaults: {capacity: '${CAP:-3}'}\nagents: [{role: docs}]\n"
    assert mistakes(tmp_path, text)[0][2] == "`capacity`: expected a whole number, got text"


@given(
    st.binary(max_size=300) | st.text(alphabet="swarm:agents{}[]-&*!|>'\"#%@ \n\t$0:x", max_size=200).map(str.encode)
)
def test_no_bytes_raise_anything_but_a_config_error(raw: bytes) -> None:
    with suppress(ConfigError):
        to_struct(parse_document(raw, "f", {}), Layout)


def test_a_bomb_of_aliases_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="aliases counted"):
        parse_document("\n".join(lines).encode(), "bomb.yml", {})


def test_ids_are_counted_and_roles_canonical(tmp_path: Path) -> None:
    text = HEAD + (
        "agents:\n  - {role: manager, id: boss}\n  - {role: test, min: 2, max: 4}\n  - {role: docs, count: 2}\n"
        "  - {role: docs}\n  - {role: review, id: r, count: 2}\n  - {role: testing, id: testing-01}\n"
    )
    path = tmp_path / "layout.yml"
    path.write_text(text)
    specs = run_specs(load_layout(path, {}), state=state_dir("s"), host="h")
    assert [(spec.agent_id, spec.role) for spec in specs] == [
        ("boss", "task-manager"),
        ("testing-02", "testing"),
        ("testing-03", "testing"),
        ("docs-01", "docs"),
        ("docs-02", "docs"),
        ("docs-03", "docs"),
        ("r-01", "code-review"),
        ("r-02", "code-review"),
        ("testing-01", "testing"),
    ]
    assert specs[0].scale == {"testing": (2, 4)}
    more = run_specs(load_layout(path, {}), state=state_dir("s"), host="h", counts={"testing": 9})
    assert [spec.agent_id for spec in more if spec.agent_id.startswith("testing")] == [
        "testing-02", "testing-03", "testing-04", "testing-05", "testing-01",
    ]  # fmt: skip


def test_the_types_of_a_swarm_follow_from_roles_handlers_and_policy(tmp_path: Path) -> None:
    text = HEAD + (
        "defaults: {timeout: 60, max_attempts: 5}\n"
        "policy: {approve: ['deployment.*']}\n"
        "agents:\n  - {role: review, id: a}\n  - {role: deployment, id: d}\n"
        "  - {role: general, id: g1, handlers: {site.build: {command: [make], timeout: 9, idempotent: false}}}\n"
        "  - {role: general, id: g2}\n  - {role: docs, handlers: {extra: {}}}\n"
        "  - {role: code-review, id: f, dialect: seed, command: [x], handlers: {code.review: {}}}\n"
    )
    path = tmp_path / "layout.yml"
    path.write_text(text)
    spec = run_specs(load_layout(path, {}), state=state_dir("s"), host="h")[0]
    types = spec.types
    assert types["security.scan"].roles == ["code-review"]
    assert types["deployment.deploy"].approve
    assert not types["deployment.deploy"].idempotent
    assert types["site.build"].agents == ["g1"]
    assert (types["site.build"].timeout, types["site.build"].max_attempts, types["site.build"].idempotent) == (
        9,
        5,
        False,
    )
    assert types["extra"].roles == ["docs"]
    assert types["code.review"].roles == ["code-review"]
    assert types["code.review"].timeout == 60
    assert "testing.run" not in types
    assert spec.foreign == {"f": "seed"}
    assert (types["code.review"].keyless, types["security.scan"].keyless) == (["f"], [])


def test_dependencies_become_ids(tmp_path: Path) -> None:
    text = HEAD + (
        "agents:\n  - {role: task-manager, count: 2}\n  - {role: docs, depends_on: {manager: registered}}\n"
        "  - {role: testing, depends_on: [docs-01]}\n"
    )
    path = tmp_path / "layout.yml"
    path.write_text(text)
    specs = {spec.agent_id: spec for spec in run_specs(load_layout(path, {}), state=state_dir("s"), host="h")}
    assert specs["docs-01"].depends_on == {"task-manager-01": "registered", "task-manager-02": "registered"}
    assert specs["testing-01"].depends_on == {"docs-01": "started"}


def test_a_relative_workdir_starts_where_the_person_is(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / "layout.yml"
    path.parent.mkdir()
    path.write_text(HEAD + "workdir: sub\nagents: [{role: docs, workdir: deep}, {role: docs, workdir: /abs}]\n")
    loaded = load_layout(path, {}, cwd=tmp_path)
    assert loaded.workdir == tmp_path / "sub"
    specs = run_specs(loaded, state=state_dir("s"), host="h")
    assert [spec.workdir for spec in specs] == [str(tmp_path / "sub" / "deep"), "/abs"]


def test_a_layout_is_found_here_then_in_the_config_folder_then_shipped(tmp_path: Path) -> None:
    shipped = find_layout("opencto-dev", tmp_path)
    assert shipped == shipped_layouts() / "opencto-dev.yml"
    mine = config_home() / "layouts" / "opencto-dev.yml"
    mine.parent.mkdir(parents=True)
    mine.write_text(HEAD)
    assert find_layout("opencto-dev", tmp_path) == mine
    here = tmp_path / "layouts" / "opencto-dev.yml"
    here.parent.mkdir()
    here.write_text(HEAD)
    assert find_layout("opencto-dev", tmp_path) == here
    assert find_layout("./layouts/opencto-dev.yml", tmp_path) == here


def test_an_unknown_layout_lists_those_found(tmp_path: Path) -> None:
    with pytest.raises(
        UnknownLayoutError, match=r"no layout of that name; did you mean `opencto-dev`\?; found: "
    ) as caught:
        find_layout("opencto-dve", tmp_path)
    assert "opencto-prod (shipped)" in str(caught.value)
    with pytest.raises(UnknownLayoutError, match="no such file"):
        find_layout("a/b.yml", tmp_path)


def test_every_shipped_layout_is_good() -> None:
    names = known_layouts(Path("/nonexistent"))
    assert {"opencto-dev", "opencto-prod", "small"} <= names.keys()
    for _, path in names.values():
        loaded = load_layout(path, {"MQTT_PASSWORD": "x"})
        specs = run_specs(loaded, state=state_dir(loaded.layout.swarm), host="h")
        assert specs[0].role == "task-manager"
        assert session_name(loaded.layout)


def test_the_development_layout_is_the_nine() -> None:
    loaded = load_layout(shipped_layouts() / "opencto-dev.yml", {})
    assert (loaded.layout.swarm, loaded.layout.session) == ("opencto-dev", "opencto")
    specs = run_specs(loaded, state=state_dir("opencto-dev"), host="h")
    assert [spec.agent_id for spec in specs] == [
        f"{role}-01"
        for role in (
            "task-manager", "code-review", "deployment", "testing", "security", "docs", "monitoring", "database",
            "api-gateway",
        )
    ]  # fmt: skip
    assert not any(rule.approve for rule in specs[0].types.values())


def test_production_asks_for_approval() -> None:
    loaded = load_layout(shipped_layouts() / "opencto-prod.yml", {})
    assert loaded.layout.broker.secure
    assert loaded.layout.policy.guests == "none"
    types = run_specs(loaded, state=state_dir("opencto-prod"), host="h")[0].types
    assert {name for name, rule in types.items() if rule.approve} == {
        "deployment.deploy", "deployment.rollback", "database.migrate",
    }  # fmt: skip


def test_a_secure_layout_has_no_guests_and_no_way_without_tls(tmp_path: Path) -> None:
    path = tmp_path / "layout.yml"
    head, agents = "swarm: s\nbroker: {url: %s, secure: true}\n", "agents: [{role: docs}]\n"
    path.write_text(head % "mqtts://localhost:1" + agents)
    assert load_layout(path, {}).layout.policy.guests == "none"
    pem = "-----BEGIN CERTIFICATE-----\nx\n"
    assert load_layout(path, {"MQTT_CA": b64encode(pem.encode()).decode()}).layout.broker.tls.ca == pem
    assert load_layout(path, {"MQTT_CA": "/a/ca.pem"}).layout.broker.tls.ca == "/a/ca.pem"
    with pytest.raises(ConfigError, match="MQTT_BROKER: the layout says `secure: true`"):
        load_layout(path, {"MQTT_BROKER": "mqtt://far.example"})
    path.write_text(head % "mqtt://localhost:1" + agents)
    with pytest.raises(ConfigError, match="2:10: `secure: true` needs TLS"):
        load_layout(path, {})
    path.write_text(head % "mqtts://localhost:1" + "policy: {guests: work}\n" + agents)
    with pytest.raises(ConfigError, match="3:10: `secure: true` lets nobody in"):
        load_layout(path, {})


def test_the_environment_wins_over_the_file_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "layout.yml"
    path.write_text(HEAD + "agents: [{role: docs}]\n")
    environ = {
        "MQTT_BROKER": "mqtt://u:secret@far.example:1",
        "OPENCTO_SWARM": "t",
        "MQTT_USERNAME": "n",
        "MQTT_PASSWORD": "p",
    }
    loaded = load_layout(path, environ)
    assert (loaded.layout.swarm, loaded.layout.broker.username, loaded.layout.broker.password) == ("t", "n", "p")
    assert any("MQTT_BROKER changes the layout's broker" in line for line in loaded.notes)
    assert "not this machine" in loaded.confirm[0]
    assert "secret" not in " ".join([*loaded.notes, *loaded.confirm])
    near = load_layout(path, {**environ, "MQTT_BROKER": "mqtt://localhost:99"})
    assert near.confirm == []
    flagged = load_layout(path, environ, broker="mqtt://flag.example")
    assert (flagged.layout.broker.url, flagged.confirm) == ("mqtt://flag.example", [])
    with pytest.raises(ConfigError, match="MQTT_BROKER: "):
        load_layout(path, {"MQTT_BROKER": "gopher://x"})


def test_the_schema_is_json_and_knows_the_keys() -> None:
    schema = msgspec.json.decode(msgspec.json.encode(layout_schema()))
    assert {"swarm", "broker", "agents", "policy"} <= schema["$defs"]["Layout"]["properties"].keys()


def test_a_mistake_gives_no_orders_to_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "layout.yml"
    path.write_text(HEAD + 'agents: [{role: docs, restart: "\\e[2J\\a"}]\n')
    with pytest.raises(ConfigError) as caught:
        load_layout(path, {})
    assert "␛[2J␇" in str(caught.value)
    assert not set(str(caught.value)) & {"\x1b", "\x07"}


def test_what_only_looks_like_a_huge_number_may_be_text(tmp_path: Path) -> None:
    layout = load(tmp_path, HEAD + "agents: [{role: docs, env: {COMMIT: 123e4567, ACCOUNT: 99999999999999999999}}]\n")
    assert layout.agents[0].env == {"COMMIT": "123e4567", "ACCOUNT": "99999999999999999999"}


def test_a_number_longer_than_any_has_its_place(tmp_path: Path) -> None:
    found = mistakes(tmp_path, HEAD + f"agents:\n  - role: docs\n    capacity: {'9' * 5000}\n")
    assert found == [(4, 5, f"`capacity`: `{'9' * 20}…` is too large a number")]


def test_a_placeholder_that_nothing_fills_is_told_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "layout.yml"
    path.write_text(
        HEAD + "agents:\n"
        "  - {role: docs, command: [x, '{agent_id}', '{nope}', 'awk {print $1}', '{}', '{payload.a}']}\n"
        "  - role: general\n"
        "    handlers:\n"
        "      a.b: {command: [x, '{taskid}', '{payload.b}', '-v={payload.c}']}\n"
        "      a.c: {command: ['f() {return}; echo $${x}', '{payload.b}'], options: {shell: true}}\n"
    )
    found = [note.removeprefix(f"{path}:") for note in load_layout(path, {}).notes]
    assert [(note.split(": ")[0], note.split("`")[1]) for note in found] == [
        ("3:45", "{nope}"), ("3:79", "{payload.a}"), ("6:26", "{taskid}"), ("6:53", "{payload.c}"),
    ]  # fmt: skip


def test_all_that_a_layout_says_of_a_handler_reaches_its_agent(tmp_path: Path) -> None:
    path = tmp_path / "l.yml"
    path.write_text("swarm: s\nagents:\n  - {role: general, handlers: {serve: {command: [./serve], children: keep}}}\n")
    (spec,) = run_specs(load_layout(path, {}), state=state_dir("s"), host="h")
    assert spec.handlers["serve"].children == "keep"
    path.write_text(
        "swarm: s\nagents:\n  - {role: general, handlers: {serve: {command: [./serve], children: maybe}}}\n"
    )
    with pytest.raises(ConfigError, match="maybe"):
        load_layout(path, {})
