"""Comparisons: what a judge of pairs says of two candidates of one context, in both orders.

Reads results/dialogues/<policy>/<shard>.parquet of one policy or two, the judge's manifest and
template. Writes results/comparisons/<comparison>/<judge>/<shard>.parquet; the comparison `labelled`
is that of the gate's labelled pairs.
"""


rule compare_candidates:
    """Let a judge of pairs compare a shard of candidates, in both orders."""
    input:
        dialogues=after_sharding(comparisons.dialogues),
        questions=inputs.questions_of_job,
        manifest=inputs.manifest_of_judge,
        templates=inputs.templates_of_judge,
    output:
        comparisons=paths.COMPARISONS,
    log:
        paths.log("compare_candidates/{comparison}/{judge}/{shard}"),
    benchmark:
        paths.benchmark("compare_candidates/{comparison}/{judge}/{shard}")
    wildcard_constraints:
        comparison=one_of(comparisons.names),
        judge=one_of([*inputs.pair_judges, *inputs.grading_judges]),
    threads: THREADS_OF_SHARD
    resources:
        batch_size=BATCH_SIZES["compare_candidates"],
    params:
        spec=specs.comparisons,
        untracked=untracked.pair_judge,
        code=code_of("compare_candidates"),
    script:
        "../workflow/scripts/compare_candidates.py"


rule comparisons:
    """All comparisons of the configuration."""
    input:
        shards=comparisons.all_shards,
    localrule: True
