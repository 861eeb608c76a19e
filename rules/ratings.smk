"""Ratings: what is missing from each candidate, and a number, by each judge.

Reads results/dialogues/<policy>/<shard>.parquet, the judge's manifest and templates.
Writes results/ratings/<policy>/<judge>/<shard>.parquet, and of a judge with samples also
results/ratings/<policy>/<judge>~<sample>/<shard>.parquet, and of one with aspects
results/aspects/<policy>/<judge>/<shard>.parquet.
"""

from wim.dag.inputs import ASPECTS


rule rate_candidates:
    """Let a judge read a shard of candidates."""
    input:
        dialogues=after_sharding(paths.DIALOGUES),
        questions=inputs.questions_of_job,
        manifest=inputs.manifest_of_judge,
        templates=inputs.templates_of_judge,
    output:
        ratings=paths.RATINGS,
    log:
        paths.log("rate_candidates/{policy}/{judge}/{shard}"),
    benchmark:
        paths.benchmark("rate_candidates/{policy}/{judge}/{shard}")
    wildcard_constraints:
        judge=one_of([*inputs.single_judges, *inputs.grading_judges]),
    threads: THREADS_OF_SHARD
    resources:
        batch_size=BATCH_SIZES["rate_candidates"],
    params:
        spec=specs.ratings,
        untracked=untracked.judge,
        code=code_of("rate_candidates"),
    script:
        "../workflow/scripts/rate_candidates.py"


rule rate_samples:
    """Let a judge read a shard of candidates several times."""
    input:
        dialogues=after_sharding(paths.DIALOGUES),
        manifest=inputs.manifest_of_judge,
        templates=inputs.templates_of_judge,
    output:
        ratings=inputs.ratings_by_sample(inputs.sampling_judges),
    log:
        paths.log("rate_samples/{policy}/{judge}/{shard}"),
    benchmark:
        paths.benchmark("rate_samples/{policy}/{judge}/{shard}")
    wildcard_constraints:
        judge=one_of(inputs.sampling_judges),
    threads: THREADS_OF_SHARD
    resources:
        batch_size=BATCH_SIZES["rate_samples"],
    params:
        spec=specs.samples,
        untracked=untracked.judge,
        code=code_of("rate_samples"),
    script:
        "../workflow/scripts/rate_samples.py"


rule rate_aspects:
    """Let a judge read a shard of candidates once or several times, in several aspects."""
    input:
        dialogues=after_sharding(paths.DIALOGUES),
        manifest=inputs.manifest_of_judge,
        templates=inputs.templates_of_judge,
    output:
        ratings=inputs.ratings_by_sample(inputs.aspect_judges),
        aspects=ASPECTS,
    log:
        paths.log("rate_aspects/{policy}/{judge}/{shard}"),
    benchmark:
        paths.benchmark("rate_aspects/{policy}/{judge}/{shard}")
    wildcard_constraints:
        judge=one_of(inputs.aspect_judges),
    threads: THREADS_OF_SHARD
    resources:
        batch_size=BATCH_SIZES["rate_aspects"],
    params:
        spec=specs.samples,
        untracked=untracked.judge,
        code=code_of("rate_aspects"),
    script:
        "../workflow/scripts/rate_aspects.py"


rule rate_by_label:
    """Let a classifier say how probable a label is for each candidate of a shard."""
    input:
        dialogues=after_sharding(paths.DIALOGUES),
        manifest=inputs.manifest_of_judge,
    output:
        ratings=paths.RATINGS,
    log:
        paths.log("rate_by_label/{policy}/{judge}/{shard}"),
    benchmark:
        paths.benchmark("rate_by_label/{policy}/{judge}/{shard}")
    wildcard_constraints:
        judge=one_of(inputs.label_judges),
    threads: THREADS_OF_SHARD
    resources:
        batch_size=BATCH_SIZES["rate_by_label"],
    params:
        spec=specs.labels,
        untracked=untracked.judge,
        code=code_of("rate_by_label"),
    script:
        "../workflow/scripts/rate_by_label.py"


rule ratings:
    """All judges' ratings of the first round."""
    input:
        shards=rewards.base_ratings(list(inputs.rating_judges)),
    localrule: True
