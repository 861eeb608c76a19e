"""Texts that want more than arithmetic are refused; none is executed."""

import ast
import builtins
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.workflow_runs import REPOSITORY
from wim.own_loss.expressions import LossRefused
from wim.own_loss.formula import LOG_PROBABILITIES, Apply, Formula, Number, Variable
from wim.own_loss.parse import parse_loss
from wim.own_loss.vocabulary import FUNCTIONS

SIGNATURE = ", ".join((*LOG_PROBABILITIES, "beta"))
WRITTEN = [path.read_text() for path in sorted((REPOSITORY / "config/losses").glob("*.py"))]


def written(body: str) -> str:
    return f"def my_loss({SIGNATURE}):\n    " + "\n    ".join(body.splitlines())


def returning(expression: str) -> str:
    return written(f"p = policy_chosen_logps\nreturn {expression}")


HOSTILE = {
    "import": "import os\n" + returning("p"),
    "import in the function": written("import os\nreturn policy_chosen_logps"),
    "import from": "from os import system\n" + returning("p"),
    "import of more": "import torch, os\n" + returning("p"),
    "import under another name": "import os as torch\n" + returning("p"),
    "statement at the top": "open('pwned', 'w').write('x')\n" + returning("p"),
    "call at the top": "X = open('pwned', 'w')\n" + returning("p"),
    "dunder import": returning("__import__('os').system('touch pwned')"),
    "globals of a method": returning("p.sum.__globals__"),
    "chain of attributes": returning("p.__class__.__base__.__subclasses__()"),
    "globals of a function": returning("torch.sigmoid.__globals__['os'].system('touch pwned')"),
    "attribute of a module": returning("torch.os.system('touch pwned')"),
    "data of a tensor": returning("p.data"),
    "getattr": returning("getattr(p, 'sum')()"),
    "torch.load": returning("torch.load('pwned')"),
    "torch.save": returning("torch.save(p, 'pwned')"),
    "torch.hub": returning("torch.hub.load('a/b', 'c')"),
    "open": returning("open('pwned', 'w')"),
    "tofile": returning("p.numpy().tofile('pwned')"),
    "numpy": returning("p.numpy()"),
    "exec": written("exec('import os')\nreturn policy_chosen_logps"),
    "eval": returning("eval('p')"),
    "compile": returning("torch.compile(p)"),
    "while": written("while True:\n    beta = beta\nreturn policy_chosen_logps"),
    "for": written("for i in range(10**9):\n    beta = beta\nreturn policy_chosen_logps"),
    "comprehension": returning("[p for _ in range(10**9)]"),
    "generator": returning("torch.sum(p for _ in range(10**9))"),
    "large tensor": returning("torch.zeros(10**12)"),
    "large tensor by repetition": returning("p.repeat(10**12)"),
    "large tensor by expansion": returning("p.expand(10**6, 10**6)"),
    "outer product": returning("p[:, None] * p[None, :]"),
    "outer product by name": returning("torch.outer(p, p)"),
    "another dimension": returning("torch.softmax(p, dim=7)"),
    "dimension that is computed": returning("p.mean(dim=p)"),
    "large number": returning("p * " + "9" * 5000),
    "infinity": returning("p * 1e999"),
    "text": returning("p * 'x'"),
    "formatted text": returning("f'{p}'"),
    "bytes": returning("b'x'"),
    "complex number": returning("p * 1j"),
    "true": returning("p * True"),
    "a parameter that shadows": f"def my_loss({SIGNATURE}, open=1):\n    return open",
    "a name that shadows": written("print = beta\nreturn policy_chosen_logps * print"),
    "a module that is shadowed": written("torch = beta\nreturn policy_chosen_logps * torch"),
    "a function that shadows": f"def eval({SIGNATURE}):\n    return policy_chosen_logps",
    "builtins by name": written("__builtins__ = beta\nreturn policy_chosen_logps"),
    "recursion": returning(f"my_loss({SIGNATURE})"),
    "function in a function": written("def f(x):\n    return x\nreturn f(policy_chosen_logps)"),
    "lambda": returning("(lambda x: x)(p)"),
    "decorator": "@open('pwned', 'w')\n" + returning("p"),
    "default that calls": f"def my_loss({SIGNATURE}, tau=open('pwned', 'w')):\n    return tau",
    "default of beta that calls": f"def my_loss({SIGNATURE}=open('pwned', 'w')):\n    return beta",
    "annotation that calls": "def my_loss(policy_chosen_logps: open('pwned', 'w'), "
    + SIGNATURE.split(", ", 1)[1]
    + "):\n    return beta",
    "annotation of a step": written("x: open('pwned', 'w') = beta\nreturn policy_chosen_logps"),
    "annotation of the return": f"def my_loss({SIGNATURE}) -> exec('1'):\n    return beta",
    "class": "class my_loss:\n    pass",
    "async": f"async def my_loss({SIGNATURE}):\n    return policy_chosen_logps",
    "yield": returning("(yield p)"),
    "await": f"async def f():\n    pass\n{returning('p')}",
    "walrus": returning("(x := p)"),
    "global": written("global torch\nreturn policy_chosen_logps"),
    "delete": written("del beta\nreturn policy_chosen_logps"),
    "try": written("try:\n    x = 1\nexcept:\n    x = 2\nreturn policy_chosen_logps"),
    "with": written("with open('pwned', 'w') as f:\n    f = 1\nreturn policy_chosen_logps"),
    "match": written("match beta:\n    case 1:\n        x = 1\nreturn policy_chosen_logps"),
    "if": written("if beta > 1:\n    beta = 1\nreturn policy_chosen_logps"),
    "assignment to an attribute": written("self.x = beta\nreturn policy_chosen_logps"),
    "assignment to an item": written("policy_chosen_logps[0] = 1\nreturn policy_chosen_logps"),
    "in place": written("policy_chosen_logps.zero_()\nreturn policy_chosen_logps"),
    "in place, returned": returning("p.mul_(2)"),
    "backward": returning("p.backward()"),
    "hook": returning("p.register_hook(exec)"),
    "apply": returning("p.apply_(exec)"),
    "map": returning("p.map_(p, exec)"),
    "arguments by star": returning("torch.add(*p)"),
    "arguments by two stars": returning("torch.add(**p)"),
    "parameters by star": "def my_loss(*args):\n    return args",
    "out": returning("torch.add(p, p, out=p)"),
    "method through a module": returning("torch.nn.functional.threshold(p, 1, 1)"),
    "the module itself": returning("torch"),
    "a function itself": returning("torch.exp"),
    "self": returning("self"),
    "attribute of self": f"def my_loss(self, {SIGNATURE}):\n    return self.model",
    "beta of no self": returning("p * self.beta"),
    "nested brackets": returning("(" * 500 + "p" + ")" * 500),
    "nested minus": returning("-" * 5000 + "p"),
    "long sum": returning("+".join(["p"] * 5000)),
    "long text": "#" * 10**6 + "\n" + returning("p"),
    "null": "\0" + returning("p"),
    "tabs and spaces": "def f():\n\tx = 1\n        return x",
    "nothing": "",
    "no function": "x = 1",
    "no return": written("x = beta"),
    "return of nothing": written("return"),
    "two values": returning("p, p"),
    "step behind the return": written("return beta\nbeta = 1"),
    "unknown name": returning("secret"),
    "floor division": returning("p // 2"),
    "remainder": returning("p % 2"),
    "matrix product": returning("p @ p"),
    "and": returning("p and p"),
    "chained": returning("0 < p < 1"),
    "membership": returning("p in p"),
    "identity": returning("p is p"),
    "branch": returning("p if beta else -p"),
    "printing": written("print(beta)\nreturn policy_chosen_logps"),
    "surrogate": "x = '\ud800'",
    "constant for a parameter": "beta = 0.1\n" + returning("p"),
}


@pytest.fixture(autouse=True)
def nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == []


@contextmanager
def without_execution() -> Iterator[None]:
    """A block in which no text can be executed, no module imported and no file opened."""

    def executed(*_: object, **__: object) -> None:
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
