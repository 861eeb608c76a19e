"""Stages whose stored rows are in the folder of another stage: forced and accepted for themselves."""

from pathlib import Path

import pytest

from wim.provenance.accepting import force, unforce
from wim.provenance.code_changes import (
    DECIDES_ROWS,
    SHARES_ROWS,
    row_codes,
    rows_of,
    stored_code,
)
from wim.provenance.digest import digest_of

CODE = digest_of("code")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the rows of ratings, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "store/rate_candidates"
    folder.mkdir(parents=True)
    return folder


def code_for(stage: str, store: Path) -> str:
    """What the rows are known by when this stage asks for them."""
    with rows_of(stage):
        return stored_code(store, CODE)


@pytest.mark.parametrize("stage", sorted(SHARES_ROWS))
def test_forcing_a_stage_makes_its_rows_anew_and_no_others(store: Path, stage: str) -> None:
    (other,) = SHARES_ROWS.keys() - {stage}
    # The first sample is found from a run without samples.
    assert code_for(stage, store) == stored_code(store, CODE) == CODE
    force(stage)
    assert code_for(stage, store) != CODE
    assert stored_code(store, CODE) == code_for(other, store) == CODE
    unforce(stage)
    assert code_for(stage, store) == CODE


def test_forcing_the_stage_that_has_the_folder_forces_the_rows_of_all(store: Path) -> None:
    before = row_codes("rate_samples")
    force("rate_candidates")
    forced = stored_code(store, CODE)
    assert forced != CODE
    assert code_for("rate_samples", store) == forced
    # So `wim accept` compares what the jobs look up.
    assert row_codes("rate_samples").keys() == before.keys()
    assert all(code != before[kind] for kind, code in row_codes("rate_samples").items())


def test_an_accepted_change_of_a_stage_finds_its_former_rows(store: Path) -> None:
    former = digest_of("former")
    (Path.cwd() / "code.json").write_text(
        f'{{"accepted": {{"rate_samples": {{"{CODE}": "{former}"}}}}}}'
    )
    assert code_for("rate_samples", store) == former
    assert stored_code(store, CODE) == CODE


def test_every_stage_that_shares_rows_knows_what_decides_them() -> None:
    for stage, owner in SHARES_ROWS.items():
        assert DECIDES_ROWS[stage] == DECIDES_ROWS[owner]
