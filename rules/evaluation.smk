"""Evaluations: is the checkpoint better?

The speakers of an evaluation are policies, `<evaluation>@<speaker>`: the rules of dialogues, ratings,
embeddings, comparisons and rewards make their tables as those of any other policy. Reads the prompts
that are held out, or files. Writes results/evaluation/prompts/<evaluation>/<shard>.parquet,
results/evaluation/leaks/<evaluation>.jsonl, results/evaluation/<evaluation>.json, .md and .svg,
results/evaluation/exports/<evaluation>/ for other tools, and results/evaluation/verdict.json.
"""

from wim.dag.evaluations import Evaluations

evaluations = Evaluations(inputs)


wildcard_constraints:
    evaluation=one_of(CONFIG.evaluations),


rule evaluation_prompts:
    """Take the prompts of an evaluation in, in shards."""
    input:
        files=after_sharding(evaluations.prompt_files),
        reference_answers=evaluations.reference_answers,
    output:
        shards=evaluations.prompt_shards("{evaluation}"),
    log:
        paths.log("evaluation_prompts/{evaluation}"),
    localrule: True
    params:
        spec=specs.evaluation_prompts,
        code=code_of("evaluation_prompts"),
    script:
        "../workflow/scripts/evaluation_prompts.py"


rule read_answers:
    """Take the answers of a speaker in that generated them elsewhere."""
    input:
        prompts=evaluations.prompts_of_written,
        answers=evaluations.answers_file,
    output:
        dialogues=paths.DIALOGUES,
    log:
        paths.log("read_answers/{policy}/{shard}"),
    wildcard_constraints:
        policy=inputs.written_pattern,
    localrule: True
    params:
        spec=specs.written_answers,
        code=code_of("read_answers"),
    script:
        "../workflow/scripts/read_answers.py"


rule find_leaks:
    """Find the prompts of an evaluation that stand in what was trained on."""
    input:
        prompts=evaluations.prompts,
        trained=after_sharding(evaluations.trained_prompts),
    output:
        leaks=paths.LEAKS,
    log:
        paths.log("find_leaks/{evaluation}"),
    localrule: True
    params:
        spec=specs.leaks,
        code=code_of("find_leaks"),
    script:
        "../workflow/scripts/find_leaks.py"


rule evaluate:
    """Compare the answers of an evaluation's speakers."""
    input:
        prompts=evaluations.prompts,
        leaks=paths.LEAKS,
        answers=evaluations.answers,
        ratings=evaluations.ratings,
        comparisons=evaluations.comparisons,
        rewards=evaluations.rewards,
        length_control=evaluations.length_control,
    output:
        table=report(
            paths.EVALUATION,
            caption="../workflow/report/evaluation.rst",
            category="Evaluation",
            labels={"result": "{evaluation}: numbers"},
        ),
        text=report(
            paths.EVALUATION_TEXT,
            caption="../workflow/report/evaluation.rst",
            category="Evaluation",
            labels={"result": "{evaluation}"},
        ),
        figure=report(
            paths.EVALUATION_FIGURE,
            caption="../workflow/report/evaluation.rst",
            category="Evaluation",
            labels={"result": "{evaluation}: figure"},
        ),
    log:
        paths.log("evaluate/{evaluation}"),
    localrule: True
    params:
        spec=specs.evaluation,
        code=code_of("evaluate"),
    script:
        "../workflow/scripts/evaluate.py"


rule export_evaluation:
    """Write the answers and what was said of them in the formats of other tools."""
    input:
        prompts=evaluations.prompts,
        answers=evaluations.answers,
        ratings=evaluations.ratings,
        comparisons=evaluations.comparisons,
        rewards=evaluations.rewards,
    output:
        folder=directory(paths.EVALUATION_EXPORTS),
    log:
        paths.log("export_evaluation/{evaluation}"),
    localrule: True
    params:
        spec=specs.evaluation,
        code=code_of("export_evaluation"),
    script:
        "../workflow/scripts/export_evaluation.py"


rule verdict:
    """Say of every arm whether it is better, worse, or not shown to be either."""
    input:
        evaluations=evaluations.tables,
    output:
        verdict=paths.VERDICT,
    log:
        paths.log("verdict"),
    localrule: True
    params:
        spec=specs.verdict,
        code=code_of("verdict"),
    script:
        "../workflow/scripts/verdict.py"


rule evaluation:
    """All evaluations."""
    input:
        tables=evaluations.tables,
        exports=evaluations.exports,
        verdict=evaluations.verdicts,
    localrule: True
