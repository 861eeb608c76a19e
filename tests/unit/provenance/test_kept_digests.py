"""Digests of code are computed once, and whenever the code has changed."""

import ast
import json
import shutil
import sys
from pathlib import Path

import pytest

from support.code_caches import forget_code
from support.workflow_runs import REPOSITORY
from wim.provenance import code, kept_digests
from wim.provenance.code import code_digest

ENTRY = REPOSITORY / "workflow/scripts/score_candidates.py"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, in a working directory that Snakemake has used; no compiled code."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    folder = tmp_path / "wim"
    shutil.copytree(code.PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "PACKAGE", folder)
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.chdir(tmp_path)
    return folder


def by_a_new_process() -> str:
    forget_code()
    return code_digest(ENTRY)


def kept_files() -> list[Path]:
    return sorted(kept_digests.FOLDER.glob("*"))


def test_a_second_process_reads_no_code(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed = by_a_new_process()

    def parse(*_: object) -> None:
        raise AssertionError("code is read again")

    monkeypatch.setattr(ast, "parse", parse)
    assert by_a_new_process() == computed


def test_digests_kept_beside_compiled_code_serve_every_working_directory(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = tmp_path / "__pycache__"
    compiled.mkdir()
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(kept_digests, "BYTECODE", compiled)
    computed = by_a_new_process()
    (tmp_path / "fresh").mkdir()
    monkeypatch.chdir(tmp_path / "fresh")
    monkeypatch.setattr(ast, "parse", None)
    assert by_a_new_process() == computed
    assert list((tmp_path / "fresh").iterdir()) == kept_files() == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("judging/parse.py", "EXTRA = 1"),
        ("judging/phrases/english.yaml", "more: phrase"),
    ],
)
def test_after_an_edit_it_is_computed_anew_and_after_undoing_it_found(
    package: Path, file: str, text: str
) -> None:
    entry = REPOSITORY / "workflow/scripts/rate_candidates.py"
    forget_code()
    before, whole = code_digest(entry), (package / file).read_text()
    (package / file).write_text(f"{whole}\n{text}\n")
    forget_code()
    edited = code_digest(entry)
    assert edited != before
    (package / file).write_text(whole)
    forget_code()
    assert code_digest(entry) == before
    assert len(kept_files()) == 2


def test_a_new_module_that_an_import_finds_counts(package: Path) -> None:
    before = by_a_new_process()
    score = package / "rewards/score.py"
    score.write_text(f"{score.read_text()}\nimport wim.rewards.added\n")
    imported = by_a_new_process()
    (package / "rewards/added.py").write_text("ADDED = 1\n")
    assert len({before, imported, by_a_new_process()}) == 3


def test_another_entry_of_the_same_name_is_another(package: Path, tmp_path: Path) -> None:
    computed = by_a_new_process()
    other = tmp_path / ENTRY.name
    other.write_text(f"{ENTRY.read_text()}\nEXTRA = 1\n")
    forget_code()
    assert code_digest(other) != computed
    assert code_digest(ENTRY, without=("wim.rewards",)) != computed


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b'{"a": 1}'])
def test_a_damaged_file_costs_the_time_of_computing(package: Path, content: bytes) -> None:
    computed = by_a_new_process()
    (file,) = kept_files()
    file.write_bytes(content)
    assert by_a_new_process() == computed
    assert computed in json.loads(file.read_text())[1].values()


@pytest.mark.parametrize("digest", [7, "", "not hexadecimal", "0" * 64])
def test_a_digest_that_was_altered_is_not_taken(package: Path, digest: object) -> None:
    computed = by_a_new_process()
    (file,) = kept_files()
    checksum, kept = json.loads(file.read_text())
    file.write_text(json.dumps([checksum, dict.fromkeys(kept, digest)]))
    assert by_a_new_process() == computed


def test_an_edit_in_a_folder_that_is_linked_to_counts(package: Path, tmp_path: Path) -> None:
    before = by_a_new_process()
    (package / "rewards").rename(tmp_path / "elsewhere")
    (package / "rewards").symlink_to(tmp_path / "elsewhere")
    (package / "rewards/above").symlink_to(package)
    assert by_a_new_process() == before
    score = tmp_path / "elsewhere/score.py"
    score.write_text(f"{score.read_text()}\nEDITED = 1\n")
    assert by_a_new_process() != before


def test_what_nobody_imports_does_no_harm(package: Path) -> None:
    before = by_a_new_process()
    (package / "judging/.#parse.py").symlink_to("nowhere")
    (package / "judging/._parse.py").write_bytes(b"\xff\xfe")
    (package / "judging/old.py").mkdir()
    (package / "judging/latin.py").write_bytes(b"NAME = '\xe9'\n")
    assert by_a_new_process() == before


def test_the_same_text_elsewhere_has_the_data_beside_it(package: Path) -> None:
    inner = package / "judging/phrases/__init__.py"
    other = package / "judging/elsewhere/__init__.py"
    other.parent.mkdir()
    shutil.copy2(inner, other)
    forget_code()
    assert code_digest(inner) != code_digest(other)


def test_where_it_cannot_be_kept_it_is_computed(package: Path, tmp_path: Path) -> None:
    computed = by_a_new_process()
    shutil.rmtree(kept_digests.FOLDER)
    kept_digests.FOLDER.write_text("a file in its place")
    assert by_a_new_process() == computed
    shutil.rmtree(tmp_path / ".snakemake")
    assert by_a_new_process() == computed
    assert not (tmp_path / ".snakemake").exists(), "the folder is Snakemake's"


def test_of_many_states_the_last_are_kept(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_digests, "STATES", 2)
    for number in range(4):
        (package / "rewards/added.py").write_text(f"ADDED = {number}\n")
        by_a_new_process()
    assert len(kept_files()) == 2


def test_an_edit_while_a_process_runs_is_no_part_of_what_it_keeps(package: Path) -> None:
    before = by_a_new_process()
    score = package / "rewards/score.py"
    whole = score.read_text()
    shutil.rmtree(kept_digests.FOLDER)
    forget_code()
    code_digest(ENTRY, without=("wim.rewards",))  # This process knows the code as it is.
    score.write_text(f"{whole}\nEDITED = 1\n")
    assert code_digest(ENTRY) == before
    assert by_a_new_process() != before
    score.write_text(whole)
    assert by_a_new_process() == before
