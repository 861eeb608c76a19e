"""Prompts: read, normalised, selected, split and sharded.

Reads the files that the configuration names under prompts.files, and asks models for topics.
Writes results/prompts/hub/<data set>.tar, of data sets on the hub, results/prompts/topics.jsonl,
results/prompts/prompts.parquet and results/prompts/shards/<shard>.parquet.
"""

HUB_PROMPTS = {staged_path(source): source for source in CONFIG.prompts.files}


rule stage_prompts:
    """Fetch the prompt files of a data set on the hub."""
    output:
        files="results/prompts/hub/{dataset}.tar",
    log:
        "logs/stage_prompts/{dataset}.log",
    wildcard_constraints:
        dataset=r"[\w.-]+",
    localrule: True
    params:
        spec=lambda wildcards, output: spec(source=HUB_PROMPTS[output.files]),
        code=code_of("stage_prompts"),
    script:
        "../workflow/scripts/stage_prompts.py"


rule create_topics:
    """Let the models propose the topics."""
    input:
        manifests=lambda wildcards: [manifest_of_model(name) for name in proposers()],
        encoder=manifest_of_model(CONFIG.embeddings.encoder),
        template=template_of_topics,
    output:
        topics="results/prompts/topics.jsonl",
    log:
        "logs/create_topics.log",
    benchmark:
        "benchmarks/create_topics.tsv"
    threads: lambda wildcards: workflow.cores or 1
    resources:
        batch_size=64,
    params:
        spec=spec_of_topics,
        models=lambda wildcards: asked(proposers()),
        code=code_of("create_topics"),
    script:
        "../workflow/scripts/create_topics.py"


rule ingest_prompts:
    """Read the prompt files into one table."""
    input:
        files=[file_of_prompts(source) for source in CONFIG.prompts.files],
        topics=[rules.create_topics.output.topics] if CONFIG.prompts.topics else [],
    output:
        prompts="results/prompts/prompts.parquet",
    log:
        "logs/ingest_prompts.log",
    localrule: True
    params:
        spec=literally(spec(prompts=CONFIG.prompts.identity())),
        code=code_of("ingest_prompts"),
    script:
        "../workflow/scripts/ingest_prompts.py"


checkpoint shard_prompts:
    """Share the prompts out to shards by hash, so that an edit touches one shard."""
    input:
        prompts=rules.ingest_prompts.output.prompts,
    output:
        shards=expand("results/prompts/shards/{shard}.parquet", shard=SHARDS),
    log:
        "logs/shard_prompts.log",
    localrule: True
    params:
        spec=spec(shards=CONFIG.prompts.shards),
        code=code_of("shard_prompts"),
    script:
        "../workflow/scripts/shard_prompts.py"
