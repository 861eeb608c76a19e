"""Texts that want more than arithmetic are refused; none is executed."""

import ast
import builtins
import random
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.hostile_losses import HOSTILE, returning, written
from support.workflow_runs import REPOSITORY
from wim.own_loss.expressions import LossRefused
from wim.own_loss.formula import LOG_PROBABILITIES, Apply, Formula, Number, Variable
from wim.own_loss.parse import parse_loss
from wim.own_loss.vocabulary import FUNCTIONS

WRITTEN = [path.read_text() for path in sorted((REPOSITORY / "config/losses").glob("*.py"))]


@pytest.fixture(autouse=True)
def nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == []


@contextmanager
def without_execution() -> Iterator[None]:
    """A block in which no text can be executed, no module imported and no file opened."""

    def executed(name: object = None, *_: object, **__: object) -> object:
        # Which the parser itself imports, where a name has other letters than plain ones.
        if name == "unicodedata":
            return unicodedata
        raise AssertionError("a text was executed")

    # Not compile: ast.parse is a call of it, with a flag that executes nothing.
    names = ("exec", "eval", "open", "__import__")
    before = {name: getattr(builtins, name) for name in names}
    try:
        for name in names:
            setattr(builtins, name, executed)
        yield
    finally:
        for name, function in before.items():
            setattr(builtins, name, function)


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_arithmetic_is_refused_with_what_to_write(kind: str) -> None:
    with pytest.raises(LossRefused) as refused, without_execution():
        parse_loss(HOSTILE[kind])
    message = str(refused.value)
    assert "found" in message and ("write" in message or ";" in message)
    assert len(message) < 1000 and "\n" not in message


def test_a_refusal_names_the_line() -> None:
    with pytest.raises(LossRefused) as refused:
        parse_loss(written("x = beta\ny = torch.load('x')\nreturn y"))
    assert str(refused.value).startswith("line 3: found `torch.load`, which is not on the list")


def test_the_function_is_chosen_by_name() -> None:
    two = returning("p") + "\n\n" + returning("2 * p").replace("my_loss", "other")
    assert parse_loss(two, "other").name == "other"
    with pytest.raises(LossRefused, match="found 2 functions"):
        parse_loss(two)
    with pytest.raises(LossRefused, match="found no function 'third'"):
        parse_loss(two, "third")


PIECES = (
    *("import os", "__import__('os')", "__class__", "__globals__", ".__dict__", "open('x','w')"),
    *("exec('1')", "eval", "lambda: 0", "torch.load('x')", "self", "[0]", "[:, None]", "10**12"),
    *(
        "while True: pass",
        "for x in p: pass",
        "yield",
        "await",
        "@f\n",
        "global x",
        "**",
        "*",
        "//",
    ),
    *("()", "(", ")", "[", "]", "{", "}", ":", ",", ".", "=", ":=", "'", '"', '"""', "\\", "\n"),
    *(
        "\t",
        "    ",
        "\0",
        "\ud800",
        "é",
        "λ",
        "1e999",
        "9" * 400,
        "0x",
        "1j",
        "None",
        "True",
        "...",
    ),
    *("if beta:", "else", "return", "def f():", "class A:", "try:", "with x:", "del", "torch"),
    *("F", "math", "builtins", "getattr", "print", "f'{x}'", "b''", "-" * 50, "(" * 50, "not "),
)


def mutated(text: str, chance: random.Random) -> str:
    """A text with some of its parts left out, doubled, exchanged, or of another text."""
    for _ in range(chance.randint(1, 6)):
        place, end = sorted(chance.randrange(len(text) + 1) for _ in range(2))
        end = min(end, place + chance.choice((1, 3, 10, 60)))
        other = chance.choice(WRITTEN)
        start = chance.randrange(len(other))
        put = chance.choice((
            "",
            chance.choice(PIECES),
            text[place:end] * 2,
            other[start : start + chance.choice((1, 5, 40))],
            chr(chance.randrange(32, 0x3000)),
        ))  # fmt: skip
        text = text[:place] + put + text[end:]
    return text


def check_names(formula: Formula) -> None:
    """A formula has nothing but numbers, names with a value, and functions of the list."""
    known = {*formula.constants, *LOG_PROBABILITIES, "beta"}
    for step in formula.steps:
        pending: list[object] = [step.value]
        while pending:
            node = pending.pop()
            if isinstance(node, Apply):
                assert node.function in FUNCTIONS
                pending += [each for each in node.arguments if each is not None]
            elif isinstance(node, Variable):
                assert node.name in known
            else:
                assert isinstance(node, Number)
        known.add(step.name or "")


def fuzz(tries: int, seed: int) -> tuple[int, int]:
    """Read mutated texts; how many were losses, and how many of those were changed ones."""
    chance, read, changed = random.Random(seed), 0, 0
    trees = {ast.dump(ast.parse(text)) for text in WRITTEN}
    for _ in range(tries):
        text = mutated(chance.choice(WRITTEN), chance)
        try:
            formula = parse_loss(text)
        except LossRefused as refused:
            assert "\n" not in str(refused)
            continue
        read += 1
        changed += ast.dump(ast.parse(text)) not in trees
        check_names(formula)
    return read, changed


def test_mutated_texts_are_read_or_refused(tmp_path: Path) -> None:
    read, changed = fuzz(3_000, seed=1)
    assert changed > 20 and read < 2_000


@pytest.mark.slow
def test_a_hundred_thousand_mutated_texts_are_read_or_refused() -> None:
    read, changed = fuzz(100_000, seed=2)
    assert changed > 1_000 and read < 60_000
