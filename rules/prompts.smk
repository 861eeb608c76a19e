"""Prompts: read, normalised, selected, split and sharded.

Reads the files that the configuration names under prompts.files, and asks models for topics.
Writes results/prompts/hub/<data set>.tar, of data sets on the hub, results/prompts/topics.jsonl,
results/prompts/prompts.parquet and results/prompts/shards/<shard>.parquet.
"""


rule stage_prompts:
    """Fetch the prompt files of a data set on the hub."""
    output:
        files=paths.HUB_PROMPTS,
    log:
        paths.log("stage_prompts/{dataset}"),
    wildcard_constraints:
        dataset=r"[\w.-]+",
    localrule: True
    params:
        spec=specs.stage_prompts,
        code=code_of("stage_prompts"),
    script:
        "../workflow/scripts/stage_prompts.py"


rule create_topics:
    """Let the models propose the topics."""
    input:
        manifests=inputs.manifests_of_proposers,
        encoder=inputs.manifest_of_encoder,
        template=inputs.template_of_topics,
    output:
        topics=paths.TOPICS,
    log:
        paths.log("create_topics"),
    benchmark:
        paths.benchmark("create_topics")
    threads: workflow.cores
    resources:
        batch_size=BATCH_SIZES["create_topics"],
    params:
        spec=specs.topics,
        untracked=untracked.proposers,
        code=code_of("create_topics"),
    script:
        "../workflow/scripts/create_topics.py"


rule ingest_prompts:
    """Read the prompt files into one table."""
    input:
        files=inputs.prompt_files,
        in_folders=inputs.files_in_prompt_folders,
        topics=[rules.create_topics.output.topics] if CONFIG.prompts.topics else [],
    output:
        prompts=paths.PROMPTS,
    log:
        paths.log("ingest_prompts"),
    localrule: True
    params:
        spec=specs.prompts,
        code=code_of("ingest_prompts"),
    script:
        "../workflow/scripts/ingest_prompts.py"


checkpoint shard_prompts:
    """Share the prompts out to shards by hash, so that an edit touches one shard."""
    input:
        prompts=rules.ingest_prompts.output.prompts,
    output:
        shards=inputs.prompt_shards(),
    log:
        paths.log("shard_prompts"),
    localrule: True
    params:
        spec=specs.shards,
        code=code_of("shard_prompts"),
    script:
        "../workflow/scripts/shard_prompts.py"
