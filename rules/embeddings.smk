"""Embeddings: responses and critiques as vectors.

Reads dialogues, ratings and the encoder's manifest.
Writes results/embeddings/<policy>/<judge>/<shard>.parquet.
"""


rule embed_critiques:
    """Encode a shard's responses and critiques."""
    input:
        dialogues=behind_shards("results/dialogues/{policy}/{shard}.parquet"),
        ratings=behind_shards("results/ratings/{policy}/{judge}/{shard}.parquet"),
        manifest=manifest_of_model(CONFIG.embeddings.encoder),
    output:
        embeddings="results/embeddings/{policy}/{judge}/{shard}.parquet",
    log:
        "logs/embed_critiques/{policy}/{judge}/{shard}.log",
    benchmark:
        "benchmarks/embed_critiques/{policy}/{judge}/{shard}.tsv"
    threads: threads_of_shard
    resources:
        batch_size=64,
    params:
        spec=lambda wildcards: spec(**spec_of_judged(wildcards)),
        code=code_of("embed_critiques"),
    script:
        "../workflow/scripts/embed_critiques.py"
