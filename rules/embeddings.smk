"""Embeddings: responses and critiques as vectors.

Reads dialogues, ratings and the encoder's manifest.
Writes results/embeddings/<policy>/<judge>/<shard>.parquet.
"""


rule embed_critiques:
    """Encode a shard's responses and critiques."""
    input:
        dialogues=after_sharding(paths.DIALOGUES),
        ratings=after_sharding(paths.RATINGS),
        manifest=inputs.manifest_of_encoder,
    output:
        embeddings=paths.EMBEDDINGS,
    log:
        paths.log("embed_critiques/{policy}/{judge}/{shard}"),
    benchmark:
        paths.benchmark("embed_critiques/{policy}/{judge}/{shard}")
    wildcard_constraints:
        judge=inputs.judge_pattern,
    threads: 1
    params:
        spec=specs.embeddings,
        untracked=untracked.job,
        code=code_of("embed_critiques"),
    script:
        "../workflow/scripts/embed_critiques.py"
