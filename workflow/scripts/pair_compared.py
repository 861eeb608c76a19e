"""Set candidates against each other as a judge of pairs found them."""

from pathlib import Path

from wim.job import job
from wim.pairs.by_comparison import pair_compared
from wim.settings.pairs import PairSettings

with job(snakemake) as spec:
    pair_compared(
        prompts=[Path(path) for path in snakemake.input.prompts],
        dialogues=[Path(path) for path in snakemake.input.dialogues],
        policies=spec["between"],
        comparisons=[Path(path) for path in snakemake.input.comparisons],
        settings=PairSettings.model_validate(spec["pairs"]),
        names=spec["names"],
        output=Path(snakemake.output.pairs),
        exclusions=Path(snakemake.output.exclusions),
        sft_prompts=spec.get("sft_prompts"),
    )
