"""`wim plan` says what would run, why, and at what cost, before anything is run."""

import shutil
import subprocess
import sys

from support.finished import PROMPTS
from support.planning import plan, run_plan
from support.workflow_runs import Project, rows_computed
from wim.plan.reasons import Job, reasons_in_words

ADDED = "Where do the hills end?"
ROWS = 2 * len(PROMPTS)


def test_a_finished_project_has_nothing_to_do(project: Project) -> None:
    assert plan(project) == {"": ["Nothing to do: all that was requested is there and up to date."]}


def test_a_template_edit_judges_every_row_again(project: Project) -> None:
    project.append("config/templates/structured/critique.jinja", "Be brief.")
    said = plan(project)
    jobs, why, rows, earlier, estimate = said["rate_candidates"]
    assert jobs == "2 jobs (base/tiny/000, base/tiny/001)"
    assert why == "why   judge template changed: critique.jinja"
    assert rows == f"rows  wanted {ROWS}, known 0, to compute {ROWS}"
    assert f"of {ROWS} rows" in earlier
    assert estimate.startswith("cost  estimate: ") and estimate.endswith(" tokens")
    assert said["embed_critiques"][1:3] == [
        "why   something before it runs: rate_candidates",
        "rows  unknown until the stage before has run",
    ]
    assert said[""] == ["6 jobs would run. Times and tokens are estimates from earlier runs."]
    assert list(said)[1:] == ["rate_candidates", "embed_critiques", "score_candidates"]


def test_a_judge_option_is_named_with_its_values(project: Project) -> None:
    project.set("judges.tiny.sampling.max_new_tokens", 17)
    said = plan(project)["rate_candidates"]
    assert said[1] == "why   settings changed: judge.sampling.max_new_tokens 16 -> 17"
    assert said[2] == f"rows  wanted {ROWS}, known 0, to compute {ROWS}"


def test_zeta_scores_again_and_asks_no_model(project: Project) -> None:
    project.set("rewards.wim.zeta", 0.4)
    said = plan(project)
    assert said["score_candidates"] == [
        "1 job (base/wim)",
        "why   settings changed: reward.zeta 1.0 -> 0.4",
    ]
    assert list(said)[1:] == ["score_candidates"]


def test_an_edit_of_the_reading_finds_every_row_in_the_store(project: Project) -> None:
    project.edit_code("ECHO_WORDS = 5", "ECHO_WORDS = 6")
    said = plan(project)["rate_candidates"]
    assert said[1] == "why   code of this stage changed"
    assert said[2] == f"rows  wanted {ROWS}, known {ROWS}, to compute 0"


def test_deleted_embeddings_are_all_known(project: Project) -> None:
    shutil.rmtree(project.folder / "results/embeddings")
    said = plan(project, "results/embeddings/base/tiny/000.parquet")["embed_critiques"]
    assert said[:2] == ["1 job (base/tiny/000)", "why   not made yet"]
    assert said[2].startswith("texts wanted ") and said[2].endswith(", to compute 0")


def test_added_prompts_are_named_and_their_rows_counted_once_shared_out(project: Project) -> None:
    project.write_prompts([*PROMPTS, ADDED])
    said = plan(project)
    assert said["ingest_prompts"][1] == "why   prompts changed: prompts.jsonl"
    assert said["shard_prompts"][1] == "why   something before it runs: ingest_prompts"
    assert "will run in addition" in " ".join(said[""])
    assert "generate_dialogues" not in said
    project.run("--until", "shard_prompts", "--", "rewards")
    jobs, _, rows, *_ = plan(project)["generate_dialogues"]
    assert jobs.startswith("1 job (base/")
    assert rows.endswith(", to compute 2")
    assert (
        rows_computed(project.run("--until", "generate_dialogues", "--", "rewards"))["generated"]
        == 2
    )


def test_a_new_project_is_not_made_yet_and_has_nothing_to_estimate_from(project: Project) -> None:
    for name in ("results", ".snakemake", "store", "benchmarks", "logs"):
        shutil.rmtree(project.folder / name)
    said = plan(project)
    assert said["stage_model"] == ["2 jobs (encoder, tiny)", "why   not made yet"]
    assert said["generate_dialogues"] == [
        "2 jobs (base/000, base/001)",
        "why   not made yet",
        "rows  unknown until the stage before has run",
        "cost  no earlier run to estimate from",
    ]
    assert "will run in addition" not in " ".join(said[""])
    assert not (project.folder / "store").exists()


def test_snakemakes_failure_is_passed_on(project: Project) -> None:
    project.set("judges.tiny.model", "tinny")
    done = run_plan(project)
    assert done.returncode == 1
    assert "judges.tiny.model" in done.stderr


def test_what_is_not_known_here_stays_in_snakemakes_words() -> None:
    job = Job(
        "summary", {}, "The moon is full; Code has changed since last execution", [], [], None
    )
    assert reasons_in_words(job, {}) == [
        "The moon is full",
        "Code has changed since last execution",
    ]


def test_a_plan_loads_no_model_library() -> None:
    heavy = "{'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    code = f"import sys, wim.plan.dry_run, wim.dialogues.generate, wim.embedding.embed, wim.judging.rate, wim.store.rows; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
