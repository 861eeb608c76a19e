"""Take the answers of a speaker in that were generated elsewhere."""

from pathlib import Path

from wim.evaluation.answers import read_answers
from wim.job import job

with job(snakemake) as spec:
    read_answers(
        prompts=Path(snakemake.input.prompts),
        answers=next(map(Path, snakemake.input.answers), None),
        system=spec["system"],
        speaker=spec["speaker"],
        output=Path(snakemake.output.dialogues),
        system_as=spec.get("system_as", "system"),
    )
