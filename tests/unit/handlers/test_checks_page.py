"""docs/CHECKS.md tells of what there is: its layout fits, its fields and results exist."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from swarm_tui.agent.handlers import registry
from swarm_tui.agent.handlers.review.review import Review
from swarm_tui.config.model import HandlerSpec

PAGE = (Path(__file__).parents[3] / "docs" / "CHECKS.md").read_text()
TYPES = ["code.review", "testing.run", "testing.coverage", "security.scan", "security.audit", "documentation.generate"]


def layout_options():
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    return yaml.safe_load(block)["agents"][0]["handlers"]["code.review"]["options"]


def test_its_layout_fits():
    assert registry.check_options("code.review", HandlerSpec(options=layout_options())) is None


def test_its_fields_exist():
    known = {name for kind in TYPES for name in registry.schema(kind)["properties"]}
    for name in ("base", "head", "pr", "path", "runner", "diff", "accept", "baseline", "output"):
        assert f"`{name}" in PAGE
        assert name in known


@pytest.mark.skipif(shutil.which("go") is None, reason="go is not here")
def test_its_check_of_go_finds_what_only_the_whole_project_tells(bench):
    bench.write("go.mod", "module example.invalid/x\n\ngo 1.19\n")
    bench.write("a/a.go", "package a\n")
    bench.commit()
    bench.write("a/a.go", 'package a\n\nimport "fmt"\n\nfunc A() { fmt.Printf("%d", "x") }\n')
    result = bench.run(Review(), "code.review", options={"checks": layout_options()["checks"]})
    (found,) = result["comments"]
    assert (found["file"], found["line"], found["tool"]) == ("a/a.go", 5, "vet")
