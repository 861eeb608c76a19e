"""Evaluations: is the checkpoint better?

The speakers of an evaluation are policies, `<evaluation>@<speaker>`: the rules of dialogues, ratings,
embeddings, comparisons and rewards make their tables as those of any other policy. Reads the prompts
that are held out, or files. Writes results/evaluation/prompts/<evaluation>/<shard>.parquet,
results/evaluation/leaks/<evaluation>.jsonl, results/prompts/leaks.jsonl, results/evaluation/kl/<evaluation>@<speaker>.json, results/evaluation/<evaluation>.json, .md and .svg,
results/evaluation/exports/<evaluation>/ for other tools, results/evaluation/tracked/<evaluation>.json, results/evaluation/cards/<arm>.md, and
results/evaluation/verdict.json.
"""

from wim.dag.evaluation_specs import EvaluationSpecs
from wim.dag.evaluations import TRACKED, Evaluations

evaluations, evaluation_specs = Evaluations(inputs), EvaluationSpecs(inputs)


wildcard_constraints:
    evaluation=one_of(evaluations.of_answers),


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
        spec=evaluation_specs.evaluation_prompts,
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
        spec=evaluation_specs.written_answers,
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
        spec=evaluation_specs.leaks,
        code=code_of("find_leaks"),
    script:
        "../workflow/scripts/find_leaks.py"


rule find_split_leaks:
    """Find the held-out prompts that stand in those that are trained on, or nearly."""
    input:
        prompts=after_sharding(inputs.prompt_shards),
    output:
        leaks=paths.SPLIT_LEAKS,
    log:
        paths.log("find_split_leaks"),
    localrule: True
    params:
        spec=evaluation_specs.leaks,
        code=code_of("find_split_leaks"),
    script:
        "../workflow/scripts/find_split_leaks.py"


rule measure_kl:
    """Measure how far a checkpoint is from the model that it was trained from, on its answers."""
    input:
        answers=inputs.dialogue_shards,
        manifests=evaluations.manifests_of_measured,
    output:
        kl=paths.KL,
    log:
        paths.log("measure_kl/{policy}"),
    benchmark:
        paths.benchmark("measure_kl/{policy}")
    wildcard_constraints:
        policy=evaluations.measured_pattern,
    threads: workflow.cores
    resources:
        batch_size=BATCH_SIZES["measure_kl"],
    params:
        spec=evaluation_specs.kl,
        untracked=untracked.measured,
        code=code_of("measure_kl"),
    script:
        "../workflow/scripts/measure_kl.py"


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
        kl=evaluations.measured,
        labels=evaluations.labels,
        labelled=evaluations.labelled,
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
        spec=evaluation_specs.evaluation,
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
        spec=evaluation_specs.evaluation,
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
        spec=evaluation_specs.verdict,
        code=code_of("verdict"),
    script:
        "../workflow/scripts/verdict.py"


rule evaluated_card:
    """Add what the evaluations have shown to the model card of an arm's checkpoint."""
    input:
        card=evaluations.card,
        evaluations=evaluations.tables_of_arm,
    output:
        card=report(
            paths.EVALUATED_CARD,
            caption="../workflow/report/card.rst",
            category="Evaluation",
            labels={"result": "{arm}: model card"},
        ),
    log:
        paths.log("evaluated_card/{arm}"),
    localrule: True
    params:
        spec=evaluation_specs.evaluated_card,
        code=code_of("evaluated_card"),
    script:
        "../workflow/scripts/evaluated_card.py"


rule track_evaluation:
    """Write an evaluation's figures to trackers."""
    input:
        figures=paths.EVALUATION,
    output:
        numbers=TRACKED,
    log:
        paths.log("track_evaluation/{evaluation}"),
    wildcard_constraints:
        evaluation=one_of(CONFIG.evaluations),
    localrule: True
    params:
        spec=evaluation_specs.trackers,
        code=code_of("track_evaluation"),
    script:
        "../workflow/scripts/track_evaluation.py"


rule evaluation:
    """All evaluations."""
    input:
        tables=evaluations.tables,
        tracked=evaluations.tracked,
        exports=evaluations.exports,
        verdict=evaluations.verdicts,
        cards=evaluations.cards,
    localrule: True
