"""Exports: pairs, completions and ratings for other trainers, and as a data set for the hub.

Reads the pairs of an arm's round, what they are made of, and the manifests of the models.
Writes results/report/exports/<arm>/round<r>/: a folder for each trainer, and dataset/.
"""

from wim.dag.exports import PATTERN, Exports

exports = Exports(inputs)


rule export_pairs:
    """Write an arm's pairs, completions and ratings for other trainers."""
    input:
        pairs=after_sharding(paths.PAIRS),
        prompts=after_sharding(inputs.prompt_shards),
        dialogues=after_sharding(exports.dialogues),
        ratings=after_sharding(exports.ratings),
        aspects=after_sharding(exports.aspects),
        rewards=after_sharding(exports.rewards),
        manifests=exports.manifests,
    output:
        folder=directory(PATTERN),
    log:
        paths.log("export_pairs/{arm}/round{round}"),
    localrule: True
    params:
        spec=exports.spec,
        code=code_of("export_pairs"),
    script:
        "../workflow/scripts/export_pairs.py"


rule export:
    """All arms' exports."""
    input:
        folders=exports.folders,
    localrule: True
