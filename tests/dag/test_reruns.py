"""What runs again after which change: a case for each line of docs/design/reruns.md."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from support.finished import PROMPTS, SHARDS
from support.workflow_runs import Project, jobs_done, rows_computed

SCORE = {"score_candidates": 2}
PAIR = {"pair_candidates": 1}
TRAIN = {"train_dpo": 1}
AUDIT = {"audit_critiques": 1}
SUMMARY = {"summary": 1}
PAGE = {"page": 1}
AFTER_PAIRS = {**TRAIN, **SUMMARY}
AFTER_REWARDS = {**PAIR, **AFTER_PAIRS, **PAGE}
AFTER_EMBEDDINGS = {**SCORE, **AUDIT, **AFTER_REWARDS}
EMBED = {"embed_critiques": SHARDS}
RATE = {"rate_candidates": SHARDS}
GENERATE = {"generate_dialogues": SHARDS}
AFTER_RATINGS = {**EMBED, **AFTER_EMBEDDINGS}
AFTER_DIALOGUES = {**RATE, **AFTER_RATINGS}


def touch_everything(project: Project) -> None:
    """Give every file of the project the time of now, as a fresh checkout does."""
    for path in project.folder.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts:
            os.utime(path)


def reorder_keys(project: Project) -> None:
    config = project.config
    project.configure(dict(reversed(list(config.items()))))


def reformat(project: Project) -> None:
    project.append("workflow/wim/rewards/score.py", "\n\n# A comment.\n")
    project.edit_code(
        "LOWEST, HIGHEST = 1, 10",
        "LOWEST, HIGHEST = (\n    1,\n    10,\n)",
    )


def set_to(path: str, value: object) -> Callable[[Project], None]:
    return lambda project: project.set(path, value)


def edited(old: str, new: str, package: str = "") -> Callable[[Project], None]:
    return lambda project: project.edit_code(old, new, package)


def add_arm(project: Project) -> None:
    project.set("arms.other", {"reward": "number"})


def add_grid(project: Project) -> None:
    axes = {
        "reward": ["wim", "number"],
        "training.loss": ["sigmoid", "ipo"],
        "training.beta": [0.1, 0.5],
    }
    project.set("grid", {"main": axes})


def add_judge(project: Project) -> None:
    project.set("judges.second", {"model": "tiny", "sampling": {"max_new_tokens": 12}})


NOTHING = [
    pytest.param(lambda project: None, id="nothing"),
    pytest.param(touch_everything, id="every file touched, as by a fresh checkout"),
    pytest.param(reorder_keys, id="keys reordered"),
    pytest.param(reformat, id="a comment and formatting"),
    pytest.param(
        lambda project: project.append("workflow/wim/judging/rate.py", "# A comment.\n"),
        id="a comment in judging",
    ),
    pytest.param(
        edited(
            '"""Candidate completions: what the actor answers to each prompt, several times."""',
            '"""Another docstring."""',
        ),
        id="a docstring",
    ),
    pytest.param(
        lambda project: project.append("config/prompts/demo.jsonl", "{}\n"), id="a file of no use"
    ),
    pytest.param(set_to("store", "elsewhere"), id="the store moved"),
    pytest.param(set_to("tracking", ["wandb"]), id="another tracker of metrics"),
    pytest.param(set_to("local_scratch", "$SLURM_TMPDIR"), id="models from a node's own disk"),
]


@pytest.mark.parametrize("change", NOTHING)
def test_nothing_runs_after(project: Project, change: Callable[[Project], None]) -> None:
    change(project)
    assert project.planned() == {}


def test_costs_are_summed_up_again_only_if_something_runs(project: Project) -> None:
    assert "rule costs:" not in project.run("-n")
    project.set("training.beta", 0.3)
    assert "rule costs:" in project.run("-n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--cores", "1"),
        ("--set-threads", "generate_dialogues=1"),
        ("--set-resources", "generate_dialogues:batch_size=2", "train_dpo:mem_mb=9000"),
        ("--profile", "profiles/slurm"),
    ],
)
def test_nothing_runs_after_a_change_of_machine(
    project: Project, arguments: tuple[str, ...]
) -> None:
    assert project.planned(*arguments) == {}


CHANGES = [
    pytest.param(
        set_to("rewards.wim.zeta", 0.4), {"score_candidates": 1, **AFTER_REWARDS}, id="zeta"
    ),
    pytest.param(set_to("pairs", {"ties": "first"}), AFTER_REWARDS, id="tie rule"),
    pytest.param(set_to("pairs", {"min_margin": 1e-6}), AFTER_REWARDS, id="margin"),
    pytest.param(set_to("pairs", {"select": "all"}), AFTER_REWARDS, id="pair selection"),
    pytest.param(
        set_to("judges.tiny.sampling.max_new_tokens", 17),
        {**RATE, **AFTER_RATINGS},
        id="judge option",
    ),
    pytest.param(
        lambda project: project.append("config/templates/structured/critique.jinja", "Be brief."),
        {**RATE, **AFTER_RATINGS},
        id="judge template",
    ),
    pytest.param(
        set_to("judges.tiny.model", "smollm2"),
        {"stage_model": 1, **RATE, **AFTER_RATINGS},
        id="judge model",
    ),
    pytest.param(
        set_to("embeddings.encoder", "encoder_too"),
        {"stage_model": 1, **EMBED, **AFTER_EMBEDDINGS},
        id="encoder",
    ),
    pytest.param(
        set_to("dialogues.sampling.temperature", 0.5),
        {**GENERATE, **AFTER_DIALOGUES},
        id="sampling",
    ),
    pytest.param(
        set_to("dialogues.actor", "smollm2"),
        {"stage_model": 1, **GENERATE, **AFTER_DIALOGUES},
        id="actor model",
    ),
    pytest.param(set_to("arms.wim.training.beta", 0.2), AFTER_PAIRS, id="beta"),
    pytest.param(set_to("arms.wim.training.learning_rate", 1e-5), AFTER_PAIRS, id="learning rate"),
    pytest.param(set_to("arms.wim.training.loss", "ipo"), AFTER_PAIRS, id="loss"),
    pytest.param(add_arm, AFTER_REWARDS, id="a second arm starts from the existing rewards"),
    pytest.param(
        add_grid,
        {"pair_candidates": 8, "train_dpo": 8, **SUMMARY, **PAGE, "sweep": 1},
        id="a grid of two rewards, losses and betas generates and judges nothing",
    ),
    pytest.param(
        set_to("rounds", 2),
        {**GENERATE, **RATE, **EMBED, "score_candidates": 1, **AFTER_REWARDS, "rounds": 1},
        id="a second round runs nothing of the first",
    ),
    pytest.param(set_to("arms.wim.seed", 1), AFTER_PAIRS, id="seed of an arm"),
    pytest.param(
        add_judge, {**RATE, **AUDIT, **SUMMARY, **PAGE}, id="a second judge leaves dialogues alone"
    ),
    pytest.param(
        set_to("rewards.mixed", {"judge": "tiny", "zeta": 0.4}),
        {"score_candidates": 1, **SUMMARY, **PAGE},
        id="a third reward",
    ),
    pytest.param(
        lambda project: project.edit(
            "workflow/wim/judging/structured.py",
            "attempts=judgement.attempts",
            "attempts=1 + judgement.attempts",
        ),
        {**RATE, **AFTER_RATINGS},
        id="code in judging",
    ),
    pytest.param(
        edited("ECHO_WORDS = 5", "ECHO_WORDS = 6"),
        {**RATE, **AFTER_RATINGS},
        id="code that judging imports",
    ),
    pytest.param(
        edited('prompt_id, "completions"]', 'prompt_id, "completion"]', "dialogues"),
        {**GENERATE, **AFTER_DIALOGUES},
        id="code of dialogues",
    ),
    pytest.param(
        edited("TEXTS_AT_A_TIME = 512", "TEXTS_AT_A_TIME = 511"),
        {**EMBED, **AFTER_EMBEDDINGS},
        id="code of embeddings",
    ),
    pytest.param(
        edited("if len(context) < 2:", "if len(context) <= 1:"),
        AFTER_REWARDS,
        id="code of pairs",
    ),
    pytest.param(
        edited('"logging_steps": 1', '"logging_steps": 2'),
        AFTER_PAIRS,
        id="code of training",
    ),
    pytest.param(
        edited("# Summary", "# The summary"),
        SUMMARY,
        id="code of the summary",
    ),
    pytest.param(set_to("page", {"pairs": 3}), PAGE, id="a bound of the page"),
    pytest.param(
        lambda project: project.append("workflow/wim/viewing/assets/page.css", "p { margin: 0; }"),
        PAGE,
        id="style of the page",
    ),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES)
def test_exactly_these_jobs_run_after(
    project: Project, change: Callable[[Project], None], expected: dict[str, int]
) -> None:
    change(project)
    assert project.planned() == expected


def test_weights_replaced_under_the_same_name_run_what_uses_them(project: Project) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    source = Path(str(project.config["models"]["tiny"]["source"]).removeprefix("path:"))  # type: ignore[index]
    own = project.folder / "own_model"
    shutil.copytree(source, own)
    project.set("models.tiny.source", f"path:{own}")
    assert "stage_model" in project.run("results/models/tiny/manifest.json")
    model = AutoModelForCausalLM.from_pretrained(own)
    with torch.no_grad():
        model.get_input_embeddings().weight[0] += 1
    model.save_pretrained(own)
    assert project.planned() == {"stage_model": 1, **GENERATE, **AFTER_DIALOGUES}


UP_TO_REWARDS = ("rewards",)


def run_to_rewards(project: Project) -> tuple[dict[str, int], dict[str, int]]:
    """Jobs and rows of a run up to the rewards."""
    output = project.run("--", *UP_TO_REWARDS)
    return jobs_done(output), rows_computed(output)


READ = {"ingest_prompts": 1, "shard_prompts": 1}
ONE_SHARD = {"generate_dialogues": 1, "rate_candidates": 1, "embed_critiques": 1}


def test_prompts_reordered_run_nothing_from_dialogues_on(project: Project) -> None:
    project.write_prompts(list(reversed(PROMPTS)))
    output = project.run()
    assert jobs_done(output) == READ
    assert project.planned() == {}


def test_one_prompt_added_runs_its_shard_and_its_rows_only(project: Project) -> None:
    project.write_prompts([*PROMPTS, "Where do the hills end?"])
    jobs, rows = run_to_rewards(project)
    assert jobs == {**READ, **ONE_SHARD, **SCORE}
    assert rows["generated"] == rows["judged"] == 2
    assert 0 < rows["embedded"] <= 4


def test_one_prompt_removed_runs_its_shard_and_no_row(project: Project) -> None:
    project.write_prompts(PROMPTS[1:])
    jobs, rows = run_to_rewards(project)
    assert jobs == {**READ, **ONE_SHARD, **SCORE}
    assert rows == {"generated": 0, "judged": 0, "embedded": 0}


def test_one_prompt_edited_runs_at_most_two_shards_and_its_rows_only(project: Project) -> None:
    project.write_prompts(["Name a lake.", *PROMPTS[1:]])
    jobs, rows = run_to_rewards(project)
    assert jobs["generate_dialogues"] <= 2
    assert rows["generated"] == rows["judged"] == 2


def test_an_edit_of_the_reading_asks_the_judge_nothing_again(project: Project) -> None:
    project.edit_code("ECHO_WORDS = 5", "ECHO_WORDS = 6")
    jobs, rows = run_to_rewards(project)
    assert jobs == {**RATE, **EMBED, **SCORE}
    assert rows["generated"] == rows["judged"] == 0


def test_a_new_template_judges_every_row_and_generates_none(project: Project) -> None:
    project.append("config/templates/structured/critique.jinja", "Be brief.")
    _, rows = run_to_rewards(project)
    assert rows["generated"] == 0
    assert rows["judged"] == 2 * len(PROMPTS)


def test_other_sampling_generates_every_row(project: Project) -> None:
    project.set("dialogues.sampling.temperature", 0.5)
    assert run_to_rewards(project)[1]["generated"] == 2 * len(PROMPTS)


def test_code_of_the_engine_generates_and_judges_every_row(project: Project) -> None:
    project.edit_code("+ 0.5) / 2**52", "+ 0.25) / 2**52")
    _, rows = run_to_rewards(project)
    assert rows["generated"] == rows["judged"] == 2 * len(PROMPTS)


def test_another_shard_count_computes_no_row(project: Project) -> None:
    project.set("prompts.shards", 3)
    jobs, rows = run_to_rewards(project)
    assert jobs["generate_dialogues"] == 3
    assert rows == {"generated": 0, "judged": 0, "embedded": 0}


def test_without_snakemakes_memory_no_row_is_computed_twice(project: Project) -> None:
    shutil.rmtree(project.folder / ".snakemake")
    _, rows = run_to_rewards(project)
    assert rows == {"generated": 0, "judged": 0, "embedded": 0}


def test_without_results_and_memory_no_row_is_computed_twice(project: Project) -> None:
    before = dialogues_of(project)
    shutil.rmtree(project.folder / ".snakemake")
    shutil.rmtree(project.folder / "results")
    jobs, rows = run_to_rewards(project)
    assert jobs == {"stage_model": 2, **READ, **GENERATE, **RATE, **EMBED, **SCORE}
    assert rows == {"generated": 0, "judged": 0, "embedded": 0}
    pd.testing.assert_frame_equal(before, dialogues_of(project))


def dialogues_of(project: Project) -> pd.DataFrame:
    shards = sorted((project.folder / "results/dialogues/base").glob("*.parquet"))
    return pd.concat(map(pd.read_parquet, shards), ignore_index=True)
