"""Prompts: read, normalised, selected, split and sharded.

Reads the files that the configuration names under prompts.files.
Writes results/prompts/prompts.parquet and results/prompts/shards/<shard>.parquet.
"""


rule ingest_prompts:
    """Read the prompt files into one table."""
    input:
        files=[file_at(path, "prompts.files") for path in CONFIG.prompts.files],
    output:
        prompts="results/prompts/prompts.parquet",
    log:
        "logs/ingest_prompts.log",
    localrule: True
    params:
        spec=literally(
            spec(
                prompts=CONFIG.prompts.model_dump(
                    mode="json", exclude={"files", "shards"}
                )
            )
        ),
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
