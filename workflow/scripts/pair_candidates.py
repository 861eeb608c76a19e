"""Set candidates against each other by an arm's reward."""

from pathlib import Path

from wim.job import job
from wim.pairs.by_reward import pair_candidates
from wim.settings.pairs import PairSettings

with job(snakemake) as spec:
    pair_candidates(
        prompts=[Path(path) for path in snakemake.input.prompts],
        dialogues=[Path(path) for path in snakemake.input.dialogues],
        rewards=Path(snakemake.input.rewards),
        settings=PairSettings.model_validate(spec["pairs"]),
        names=spec["names"],
        seed=spec["seed"],
        output=Path(snakemake.output.pairs),
        exclusions=Path(snakemake.output.exclusions),
        sft_prompts=spec.get("sft_prompts"),
    )
