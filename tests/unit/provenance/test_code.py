"""Identity by content: what changes a digest of code or of a value, and what does not."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.code_caches import forget_code
from support.workflow_runs import REPOSITORY
from wim.provenance import code
from wim.provenance.code import code_digest
from wim.provenance.digest import canonical_json, digest_file, digest_of, row_id

SCRIPTS = REPOSITORY / "workflow/scripts"
STUBS = sorted(path.stem for path in SCRIPTS.glob("*.py"))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that may be edited, with the stubs beside it."""
    folder = tmp_path / "wim"
    shutil.copytree(code.PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "PACKAGE", folder)
    monkeypatch.chdir(tmp_path)  # Where no digest is kept.
    return folder


def fresh_digest(*entries: Path) -> str:
    """The digest as a new process would compute it."""
    forget_code()
    return code_digest(*entries)


def program(folder: Path, text: str, name: str = "stub.py") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def append(path: Path, text: str = "EXTRA = 1") -> None:
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{text}\n", encoding="utf-8")


PLAIN = "class A:\n    x: int = 1\n\ndef f(a):\n    return a + 1\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "# why\nclass A:\n    x: int = 1  # one\n\ndef f(a):\n    # then\n    return a + 1\n",
            id="comments",
        ),
        pytest.param(
            '"""M."""\nclass A:\n    """C."""\n    x: int = 1\n\ndef f(a):\n    """F."""\n    return a + 1\n',
            id="docstrings",
        ),
        pytest.param(
            'class A:\n    x: int = 1\n    """Of x."""\n\ndef f(a):\n    return a + 1\n',
            id="attribute docstring",
        ),
        pytest.param(
            "class A:\n  x  :  int=( 1 )\n\n\n\ndef f( a, ):\n  return (a\n    + 1)\n",
            id="formatting",
        ),
        pytest.param(PLAIN.replace("\n", "\r\n"), id="line ends"),
        pytest.param(
            f"if TYPE_CHECKING:\n    import torch\n    from wim.pairs.by_reward import Scored\n{PLAIN}",
            id="imports for type checking",
        ),
        pytest.param(
            f"if typing.TYPE_CHECKING:\n    import torch\n{PLAIN}", id="typing.TYPE_CHECKING"
        ),
    ],
)
def test_what_never_runs_leaves_the_digest_of_code(tmp_path: Path, text: str) -> None:
    before = fresh_digest(program(tmp_path, PLAIN))
    assert fresh_digest(program(tmp_path, text)) == before


def test_code_digest_does_not_depend_on_a_files_time_or_folder(tmp_path: Path) -> None:
    here, there = program(tmp_path / "a", PLAIN), program(tmp_path / "b", PLAIN)
    os.utime(there, (0, 0))
    assert fresh_digest(here) == fresh_digest(there)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("return a + 1", "return a + 2"),
        ("x: int = 1", "x: int = 2"),
        ("return a + 1", "'text'\n    return a + 1\n    a = 'text'"),
    ],
)
def test_an_edit_of_what_runs_changes_the_digest_of_code(
    tmp_path: Path, before: str, after: str
) -> None:
    first = fresh_digest(program(tmp_path, PLAIN))
    assert fresh_digest(program(tmp_path, PLAIN.replace(before, after))) != first


def test_the_branch_that_runs_beside_type_checking_counts(tmp_path: Path) -> None:
    text = "if TYPE_CHECKING:\n    import torch\nelse:\n    'docs'\n    x = {}\n"
    digests = {fresh_digest(program(tmp_path, text.format(value))) for value in (1, 2)}
    assert len(digests) == 2


def test_a_function_of_only_a_docstring_has_a_digest(tmp_path: Path) -> None:
    with_docs = fresh_digest(program(tmp_path, 'def f():\n    """Nothing."""\n'))
    assert with_docs == fresh_digest(program(tmp_path, "def f():\n    pass\n"))


@pytest.mark.parametrize(
    ("imports", "module"),
    [
        pytest.param(
            "from wim.rewards.score import mixed_reward", "rewards/score.py", id="directly"
        ),
        pytest.param("import wim.rewards.score as r", "rewards/score.py", id="as a dotted name"),
        pytest.param("from wim.rewards import score", "rewards/score.py", id="from the package"),
        pytest.param(
            "from wim.pairs.by_reward import Scored",
            "provenance/digest.py",
            id="through another module",
        ),
        pytest.param(
            "def f():\n    from wim.pairs.by_reward import Scored",
            "pairs/by_reward.py",
            id="in a function",
        ),
        pytest.param(
            "from wim.judging.rate import rate_candidates",
            "engines/local/engine.py",
            id="in a function of another module",
        ),
        pytest.param("from wim.judging.parse import Status", "judging/__init__.py", id="package"),
        pytest.param("from wim.judging.parse import Status", "__init__.py", id="outer package"),
        pytest.param("from wim.judging import parse", "judging/parse.py", id="submodule"),
    ],
)
def test_an_edit_of_an_imported_module_changes_the_digest_of_code(
    package: Path, tmp_path: Path, imports: str, module: str
) -> None:
    stub = program(tmp_path, f"{imports}\n")
    before = fresh_digest(stub)
    append(package / module, "# a comment")
    assert fresh_digest(stub) == before
    append(package / module)
    assert fresh_digest(stub) != before


def test_an_edit_of_a_module_that_is_not_imported_leaves_the_digest_of_code(
    package: Path, tmp_path: Path
) -> None:
    stub = program(tmp_path, "from wim.rewards.score import mixed_reward\nimport pandas\n")
    before = fresh_digest(stub)
    append(package / "judging/parse.py")
    append(package / "training/dpo/train.py")
    assert fresh_digest(stub) == before


@pytest.mark.parametrize("stub", STUBS)
def test_the_digest_of_a_stub_covers_every_module_that_its_imports_load(
    package: Path, tmp_path: Path, stub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = tmp_path / "scripts" / f"{stub}.py"
    imports = [
        line
        for line in entry.read_text(encoding="utf-8").splitlines()
        if line.startswith(("from wim", "import wim"))
    ]
    listing = (
        "print('\\n'.join(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'wim'))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", "\n".join(["import sys", *imports, listing])],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    ).stdout.split()
    assert loaded
    counted: set[Path] = set()
    text_of = code._nameless

    def recorded(path: Path, selection: code._Selection) -> str:
        counted.add(path)
        return text_of(path, selection)

    forget_code()
    monkeypatch.setattr(code, "_nameless", recorded)
    code_digest(entry)
    left_out = {Path(file) for file in loaded} - counted
    assert not left_out
    assert all(path.is_relative_to(tmp_path) for path in counted)


def test_the_data_of_a_package_counts_with_the_code_that_reads_it(
    package: Path, tmp_path: Path
) -> None:
    rating, pairing = (
        tmp_path / f"scripts/{name}.py" for name in ("rate_candidates", "pair_candidates")
    )
    before = [fresh_digest(rating), fresh_digest(pairing)]
    append(package / "judging/phrases/english.yaml", "# a comment")
    assert [fresh_digest(rating), fresh_digest(pairing)] == before
    append(package / "judging/phrases/english.yaml", "more: phrase")
    assert fresh_digest(rating) != before[0]
    assert fresh_digest(pairing) == before[1]


def test_the_digest_of_the_rating_stub_covers_the_engine_and_leaves_out_training(
    package: Path, tmp_path: Path
) -> None:
    entry = tmp_path / "scripts/rate_candidates.py"
    counts = {}
    for module in [
        "engines/local/engine.py",
        "engines/local/sampling.py",
        "judging/parse.py",
        "training/dpo/train.py",
        "pairs/by_reward.py",
    ]:
        before = fresh_digest(entry)
        append(package / module)
        counts[module] = fresh_digest(entry) != before
    assert counts == {
        "engines/local/engine.py": True,
        "engines/local/sampling.py": True,
        "judging/parse.py": True,
        "training/dpo/train.py": False,
        "pairs/by_reward.py": False,
    }


# The trainings with losses that are texts.
WITH_TEXTS = {"train_own_loss", "train_discovered"}


@pytest.mark.parametrize(
    ("module", "trainings"),
    [
        ("training/losses.py", {"train_dpo", *WITH_TEXTS, "bandit"}),
        ("settings/losses.py", {"train_dpo", "train_online_dpo", *WITH_TEXTS, "bandit"}),
        ("own_loss/interpret.py", WITH_TEXTS),
    ],
)
def test_the_losses_count_for_training_and_for_no_other_stage(
    package: Path, tmp_path: Path, module: str, trainings: set[str]
) -> None:
    entries = {stub: tmp_path / "scripts" / f"{stub}.py" for stub in STUBS}
    before = {stub: fresh_digest(entry) for stub, entry in entries.items()}
    append(package / module)
    changed = {stub for stub, entry in entries.items() if fresh_digest(entry) != before[stub]}
    assert changed == trainings


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical_json({"b": [1, {"d": 2, "c": 3}], "a": None}) == (
        '{"a":null,"b":[1,{"c":3,"d":2}]}'
    )
    assert digest_of({"a": 1, "b": {"c": 2, "d": 3}}) == digest_of({"b": {"d": 3, "c": 2}, "a": 1})
    assert digest_of([1, 2]) != digest_of([2, 1])


def test_text_of_any_kind_has_an_identity_even_a_lone_surrogate() -> None:
    texts = ["\ud800", "\udfff", "\U0001f600", "é", "e\u0301", "\x00", ""]
    assert len({digest_of(text) for text in texts}) == len(texts)
    assert canonical_json("\ud800é") == '"\\ud800\\u00e9"'


def test_numbers_and_text_of_the_same_look_differ_in_identity() -> None:
    assert len({digest_of(value) for value in (1, "1", 1.5, True, None, [1], {"1": 1})}) == 7


def test_a_row_id_is_the_first_half_of_the_digest() -> None:
    assert row_id({"a": 1}) == digest_of({"a": 1})[:32]
    assert len(row_id("x")) == 32
    assert set(row_id("x")) <= set("0123456789abcdef")


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert digest_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


MOVED = {
    "wim.engines.local.sampling": "wim.engines.drawing.noise",
    "wim.judging.parse": "wim.reading",
    "wim.training.dpo.cpu_head": "wim.training.processor_head",
}


def test_moving_and_renaming_modules_leaves_every_digest_of_code(package: Path) -> None:
    stubs = sorted((package.parent / "scripts").glob("*.py"))
    before = {stub.stem: fresh_digest(stub) for stub in stubs}
    for old, new in MOVED.items():
        source, target = (
            package.joinpath(*name.split(".")[1:]).with_suffix(".py") for name in (old, new)
        )
        target.parent.mkdir(exist_ok=True)
        (target.parent / "__init__.py").touch()
        source.rename(target)
    for path in (*package.rglob("*.py"), *stubs):
        text = path.read_text(encoding="utf-8")
        for old, new in MOVED.items():
            folder, _, name = old.rpartition(".")
            new_folder, _, new_name = new.rpartition(".")
            text = text.replace(f"from {old} import", f"from {new} import")
            whole = f"from {folder} import {name}\n"
            if whole in text:
                text = text.replace(whole, f"from {new_folder} import {new_name}\n")
                text = re.sub(rf"\b{name}\.(?=\w+[(\[])", f"{new_name}.", text)
        path.write_text(text, encoding="utf-8")
    assert {stub.stem: fresh_digest(stub) for stub in stubs} == before


def test_importing_a_name_from_another_module_changes_the_digest_of_code(
    package: Path, tmp_path: Path
) -> None:
    both = "import wim.rewards.score as r, wim.pairs.by_reward as p\n"
    texts = [
        f"{both}from wim.{module} import logger\n"
        for module in ("rewards.score", "pairs.by_reward")
    ]
    first, second = (fresh_digest(program(tmp_path, text)) for text in texts)
    assert first != second


def test_a_digest_within_packages_sees_no_other_module(package: Path, tmp_path: Path) -> None:
    stub = program(tmp_path, "from wim.judging.rate import rate_candidates\n")
    forget_code()
    before = code_digest(stub, within=("wim.judging",))
    append(package / "templates.py")
    append(package / "engines/local/engine.py")
    fresh_digest(stub)
    assert code_digest(stub, within=("wim.judging",)) == before
    append(package / "judging/parse.py")
    fresh_digest(stub)
    assert code_digest(stub, within=("wim.judging",)) != before
