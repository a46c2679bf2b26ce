"""Our own processes start in people's folders, and import nothing from there."""

import ast
import subprocess
from pathlib import Path

import pytest

import swarm_tui
from swarm_tui.config.own_process import import_path, own_argv

#: The interpreter runs people's tests here, and those must find the project; or is looked up beside.
NOT_OURS = {"agent/handlers/testing/run.py", "agent/handlers/process.py"}


@pytest.mark.parametrize("module", ["swarm_tui", "swarm_tui.agent.launch", "swarm_tui.agent.sheri"])
def test_files_named_as_standard_modules_stop_nobody(module: str, tmp_path: Path) -> None:
    for name in ("queue", "types", "select", "signal", "json", "msgspec"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the project ran inside of us')")
    (tmp_path / "swarm_tui").mkdir()
    (tmp_path / "swarm_tui" / "__init__.py").write_text("raise SystemExit('the project ran inside of us')")
    done = subprocess.run(own_argv(module, "--help"), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "the project ran" not in done.stdout + done.stderr
    assert "--" in done.stdout + done.stderr


def test_no_process_of_ours_is_started_in_another_way() -> None:
    root = Path(swarm_tui.__file__).parent
    for path in root.rglob("*.py"):
        text = path.read_text()
        if "sys.executable" not in text or str(path.relative_to(root)) in NOT_OURS:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.List) and any(ast.unparse(word) == "sys.executable" for word in node.elts):
                assert ast.unparse(node.elts[1]) == "'-P'", f"{path}:{node.lineno} takes modules from where it runs"
                assert "swarm_tui" not in ast.unparse(node), f"{path}:{node.lineno}: use own_argv"


def test_entries_that_mean_the_folder_are_no_import_path_of_ours() -> None:
    assert import_path({"PYTHONPATH": ":/a:.:src:/b:"}) == {"PYTHONPATH": "/a:/b"}
    assert import_path({"PYTHONPATH": "."}) == import_path({}) == {}
