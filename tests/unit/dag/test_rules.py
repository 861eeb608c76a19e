"""The rule files hold rules, and each rule, its script and its library function have one name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.workflow_runs import REPOSITORY

RULE_FILES = sorted((REPOSITORY / "rules").glob("*.smk"))
SCRIPTS = {path.stem: path for path in (REPOSITORY / "workflow/scripts").glob("*.py")}
LIBRARY = sorted((REPOSITORY / "workflow/wim").rglob("*.py"))


def rules() -> dict[str, str]:
    """The text of every rule and checkpoint, by name."""
    found: dict[str, str] = {}
    for path in RULE_FILES:
        _, *parts = re.split(r"^(?:rule|checkpoint) (\w+):\n", path.read_text(), flags=re.MULTILINE)
        found |= dict(zip(parts[::2], parts[1::2], strict=True))
    return found


def literals(path: Path) -> Iterator[str]:
    """The texts in a module that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if text and id(node) not in documented:
            yield node.value


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_a_rule_its_script_and_the_library_function_that_it_calls_have_one_name(name: str) -> None:
    assert f'"../workflow/scripts/{name}.py"' in rules()[name]
    stub = ast.parse(SCRIPTS[name].read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(stub)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wim.")
        for alias in node.names
    }
    # A training is handed over to the launcher, which calls it in each process.
    calls = [node for node in ast.walk(stub) if isinstance(node, ast.Call)]
    called = {ast.unparse(each) for node in calls for each in (node.func, *node.args)}
    assert name in imported & called


def test_every_script_is_that_of_its_rule() -> None:
    run = {name for name, text in rules().items() if re.search(r"^    script:", text, re.MULTILINE)}
    assert run == set(SCRIPTS)


@pytest.mark.parametrize("name", sorted(rules()))
def test_a_rule_says_what_it_does_and_names_its_files_and_its_log(name: str) -> None:
    first, *lines = rules()[name].splitlines()
    assert re.fullmatch(r'    """[A-Z].*[.?]"""', first), "a docstring of one line"
    section = ""
    for line in lines:
        if opened := re.fullmatch(r"    (\w+):.*", line):
            section = opened[1]
        elif section in ("input", "output") and re.match(r" {8}[\w\[\"(]", line):
            assert re.match(r" {8}\w+=", line), f"{section} without a name: {line.strip()}"
    text = "\n".join(lines)
    assert "    log:" in text or "    script:" not in text


def test_no_rule_file_defines_a_function_but_the_one_that_needs_the_checkpoint() -> None:
    defined = {
        (path.name, name)
        for path in [REPOSITORY / "Snakefile", *RULE_FILES]
        for name in re.findall(r"^\s*(?:def|class) (\w+)", path.read_text(), re.MULTILINE)
    }
    assert defined == {("common.smk", "after_sharding"), ("common.smk", "found")}
    assert len((REPOSITORY / "rules/common.smk").read_text().splitlines()) <= 60


def test_paths_of_results_are_spelt_in_one_module_alone_but_for_those_of_experiments() -> None:
    spelt = {
        path.relative_to(REPOSITORY).as_posix()
        for path in LIBRARY
        if any("results/" in text for text in literals(path))
    }
    for path in RULE_FILES:
        without_docstrings = re.sub(r'""".*?"""', "", path.read_text(), flags=re.DOTALL)
        if re.search(r"results/|logs/|benchmarks/", without_docstrings):
            spelt.add(path.name)
    assert spelt == {"workflow/wim/paths.py", "workflow/wim/experiment_paths.py"}
