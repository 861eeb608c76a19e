"""Code that comes with a model is never run, nor is anybody asked whether it shall be."""

import ast
from pathlib import Path

import pytest

import wim

SOURCES = sorted(Path(wim.__file__).parent.rglob("*.py"))
OPENERS = ("from_pretrained", "SentenceTransformer", "CrossEncoder", "pipeline", "load_dataset")
# These load no code: peft's adapters, and numbers that say how to sample.
WITHOUT_CODE = ("PeftModel.from_pretrained", "GenerationConfig.from_pretrained")


def openings(source: str) -> list[ast.Call]:
    """The calls by which something with code of its own may be opened."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        call
        for call in calls
        if ast.unparse(call.func).rpartition(".")[2] in OPENERS
        and ast.unparse(call.func) not in WITHOUT_CODE
    ]


def refuses_code(call: ast.Call) -> bool:
    return any(
        each.arg == "trust_remote_code"
        and isinstance(each.value, ast.Constant)
        and each.value.value is False
        for each in call.keywords
    )


def test_every_opening_says_that_code_is_not_trusted() -> None:
    found = [(path, call) for path in SOURCES for call in openings(path.read_text("utf-8"))]
    assert len(found) >= 10
    silent = [f"{path}:{call.lineno}" for path, call in found if not refuses_code(call)]
    assert silent == []


@pytest.mark.parametrize("said", ["", ", trust_remote_code=True", ", **options"])
def test_an_opening_that_does_not_is_found(said: str) -> None:
    (call,) = openings(f"AutoModel.from_pretrained(folder{said})")
    assert not refuses_code(call)
