"""Changes of code accepted as cosmetic, and stages made to run again, as their user does both."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from support.finished import PROMPTS, SHARDS
from support.workflow_runs import Project, jobs_done, rows_computed
from wim.errors import UserError
from wim.provenance.code_changes import CodeChanges, effective_code

ROWS = 2 * len(PROMPTS)
RATE = {
    "rate_candidates": SHARDS,
    "embed_critiques": SHARDS,
    "score_candidates": 2,
    "pair_candidates": 1,
}
NO_ROWS = {"generated": 0, "judged": 0, "embedded": 0}
# The stages whose code an edit of the reading is.
READING = ("audit_critiques", "page", "rate_candidates", "summary")
REPORTS = {"audit_critiques": 1, "page": 1, "summary": 1}
ALL = {**RATE, "train_dpo": 1, **REPORTS}
# The arm learns from one of the two rewards.
TO_PAIRS = {**RATE, "score_candidates": 1}


def wim(project: Project, *arguments: str, status: int = 0) -> str:
    """The output of a `wim` command in the project's folder, with the project's own code."""
    result = project.call([sys.executable, "-m", "wim.cli", *arguments])
    output = result.stdout + result.stderr
    assert result.returncode == status, output
    assert "Traceback" not in output
    return output


def remove_tables(project: Project) -> None:
    for stage in ("dialogues", "ratings", "embeddings", "rewards"):
        shutil.rmtree(project.folder / "results" / stage)


def test_an_accepted_change_plans_nothing_until_the_next_one(project: Project) -> None:
    project.edit_code("ECHO_WORDS = 5", "ECHO_WORDS = 6")
    assert project.planned() == ALL
    said = wim(project, "accept", "rate_candidates")
    assert (
        f"{SHARDS} outputs" in said and "stored rows: not needed" in said and "snakemake -n" in said
    )
    assert "not accepted: audit_critiques, page, summary" in said
    assert project.planned() == REPORTS
    wim(project, "accept", *REPORTS)
    assert project.planned() == {}
    assert "nothing to accept" in wim(project, "accept", "rate_candidates")
    project.edit_code("ECHO_WORDS = 6", "ECHO_WORDS = 7")
    assert project.planned() == ALL
    assert "not of the present code" in wim(project, "accept", "--list")
    wim(project, "accept", *READING)
    assert project.planned() == {}


def test_rows_of_an_accepted_engine_are_taken_from_the_store(project: Project) -> None:
    project.edit_code("+ 0.5) / 2**52", "+ 0.25) / 2**52")
    assert project.planned("--", "pairs")["generate_dialogues"] == SHARDS
    assert "stored rows: before" in wim(project, "accept", "generate_dialogues", "rate_candidates")
    assert project.planned("--", "pairs") == {}
    remove_tables(project)
    output = project.run("--", "rewards")
    assert jobs_done(output)["generate_dialogues"] == SHARDS
    assert rows_computed(output) == NO_ROWS
    project.edit_code("+ 0.25) / 2**52", "+ 0.75) / 2**52")
    assert project.planned("--", "pairs")["generate_dialogues"] == SHARDS


def test_an_accepted_encoder_embeds_nothing_again(project: Project) -> None:
    project.edit_code("TEXTS_AT_A_TIME = 512", "TEXTS_AT_A_TIME = 511")
    wim(project, "accept", "embed_critiques")
    assert project.planned("--", "pairs") == {}
    remove_tables(project)
    output = project.run("--", "rewards")
    assert jobs_done(output)["embed_critiques"] == SHARDS
    assert rows_computed(output) == NO_ROWS


def test_a_forced_stage_computes_its_rows_and_can_be_accepted_and_undone(project: Project) -> None:
    assert "rows stored so far stay" in wim(project, "force", "rate_candidates").replace("\n", " ")
    assert project.planned("--", "pairs") == TO_PAIRS
    wim(project, "force", "rate_candidates", "--undo")
    assert project.planned("--", "pairs") == {}
    wim(project, "force", "rate_candidates")
    output = project.run("--", "rewards")
    assert rows_computed(output)["judged"] == ROWS
    assert rows_computed(output)["generated"] == 0
    # A cosmetic change of a forced stage is accepted like any other.
    project.edit_code("ECHO_WORDS = 5", "ECHO_WORDS = 6")
    wim(project, "accept", *READING)
    assert "rate_candidates" not in project.planned("--", "pairs")
    wim(project, "force", "rate_candidates", "--undo")
    assert rows_computed(project.run("--", "rewards"))["judged"] == 0
    assert "nothing to undo" in wim(project, "force", "rate_candidates", "--undo")


def test_the_plan_does_not_depend_on_the_code_that_reads_the_changes(project: Project) -> None:
    project.edit_code("NAMED = 3", "NAMED = 4")
    assert project.planned("--", "pairs") == {}


def test_a_checkpoint_says_what_was_accepted_before_and_after_it(project: Project) -> None:
    project.edit_code("ECHO_WORDS = 5", "ECHO_WORDS = 6")
    wim(project, "accept", *READING)
    shutil.rmtree(project.folder / "results/checkpoints")
    project.run("--", "dpo_checkpoint")
    folder = project.folder / "results/checkpoints/wim/round1"
    accepted = json.loads((folder / "provenance.json").read_text())["accepted"]
    assert sorted(accepted) == ["audit_critiques", "rate_candidates"]
    ((now, former),) = accepted["rate_candidates"].items()
    assert f"| rate_candidates | `{now}` | `{former}` |" in (folder / "README.md").read_text()
    project.edit_code(
        "(2 * rating - (LOWEST + HIGHEST))",
        "(rating * 2 - (LOWEST + HIGHEST))",
    )
    wim(project, "accept", "score_candidates")
    accepted = json.loads((folder / "provenance.json").read_text())["accepted"]
    assert "score_candidates" in accepted
    assert "score_candidates" not in project.planned("--", "dpo_checkpoint")


def test_outputs_by_several_codes_are_refused_with_their_names(project: Project) -> None:
    project.edit_code("ECHO_WORDS = 5", "ECHO_WORDS = 6")
    project.set("judges.second", {"model": "tiny", "sampling": {"max_new_tokens": 12}})
    project.run("results/ratings/base/second/000.parquet")
    said = wim(project, "accept", "rate_candidates", status=1)
    assert "2 different codes" in said
    assert "results/ratings/base/tiny/000.parquet" in said
    assert not (project.folder / "code.json").exists()


def test_an_unknown_stage_gets_the_nearest_name(project: Project) -> None:
    for command in ("accept", "force"):
        said = wim(project, command, "rate_candidate", status=1)
        assert "did you mean 'rate_candidates'" in said


def test_accepted_changes_are_followed_through_and_circles_refused() -> None:
    old, new, newest = "a" * 64, "b" * 64, "c" * 64
    changes = CodeChanges({"summary": {newest: new, new: old}})
    assert changes.effective("summary", newest) == old
    assert changes.effective("pair_candidates", newest) == newest
    changes.accept("summary", old, newest)
    assert {changes.effective("summary", code) for code in (old, newest)} == {newest}
    with pytest.raises(UserError, match="by way of others"):
        CodeChanges({"summary": {old: new, new: old}}).effective("summary", old)


@pytest.mark.parametrize("text", ["{", "[]", '{"accepted": []}', '{"forced": {"summary": 1}}'])
def test_a_damaged_file_is_named(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("code.json").write_text(text)
    with pytest.raises(UserError, match=r"code\.json"):
        effective_code("summary", "a" * 64)
