"""Benchmarks: EleutherAI's lm-evaluation-harness on models and checkpoints.

It runs in an environment of its own (`make harness-environment`). Data sets are fetched by
stage_harness, where there is network; the other jobs are offline. Reads the manifests of models,
and task files with their data. Writes results/evaluation/harness/<evaluation>.json, <speaker>.json
and .parquet below that, and results/evaluation/<evaluation>.json, .md and .svg.
"""

from wim.dag.harness import Harness

harness = Harness(inputs)

if is_main_process(workflow):
    harness.check_tasks()


rule stage_harness:
    """Find the tasks of an evaluation, and fetch their data."""
    input:
        files=harness.task_files,
    output:
        tasks=paths.HARNESS_TASKS,
    log:
        paths.log("stage_harness/{evaluation}"),
    wildcard_constraints:
        evaluation=one_of(harness.names),
    localrule: True
    params:
        spec=evaluation_specs.harness_tasks,
        untracked=untracked.harness,
        code=code_of("stage_harness"),
    script:
        "../workflow/scripts/stage_harness.py"


rule run_harness:
    """Measure a model in the tasks of an evaluation."""
    input:
        manifest=harness.manifest,
        tasks=paths.HARNESS_TASKS,
        files=harness.task_files,
    output:
        results=paths.HARNESS,
        scores=paths.HARNESS_SCORES,
    log:
        paths.log("run_harness/{evaluation}/{speaker}"),
    benchmark:
        paths.benchmark("run_harness/{evaluation}/{speaker}")
    wildcard_constraints:
        evaluation=one_of(harness.names),
        speaker=harness.speaker_pattern,
    threads: workflow.cores
    resources:
        batch_size=BATCH_SIZES["run_harness"],
    params:
        spec=evaluation_specs.harness,
        untracked=untracked.harness,
        code=code_of("run_harness"),
    script:
        "../workflow/scripts/run_harness.py"


rule evaluate_harness:
    """Compare the models of an evaluation, task by task."""
    input:
        tasks=paths.HARNESS_TASKS,
        results=harness.results,
        scores=harness.scores,
    output:
        table=report(
            paths.EVALUATION,
            caption="../workflow/report/harness.rst",
            category="Evaluation",
            labels={"result": "{evaluation}: numbers"},
        ),
        text=report(
            paths.EVALUATION_TEXT,
            caption="../workflow/report/harness.rst",
            category="Evaluation",
            labels={"result": "{evaluation}"},
        ),
        figure=report(
            paths.EVALUATION_FIGURE,
            caption="../workflow/report/harness.rst",
            category="Evaluation",
            labels={"result": "{evaluation}: figure"},
        ),
    log:
        paths.log("evaluate_harness/{evaluation}"),
    wildcard_constraints:
        evaluation=one_of(harness.names),
    localrule: True
    params:
        spec=evaluation_specs.harness_evaluation,
        code=code_of("evaluate_harness"),
    script:
        "../workflow/scripts/evaluate_harness.py"
