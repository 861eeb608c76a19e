"""Take the answers of a speaker in that were generated elsewhere."""

from pathlib import Path

from wim.evaluation.answers import read_answers
from wim.evaluation.questions import read_question_answers
from wim.job import job

with job(snakemake) as spec:
    answers = next(map(Path, snakemake.input.answers), None)
    common = {
        "prompts": Path(snakemake.input.prompts),
        "system": spec["system"],
        "speaker": spec["speaker"],
        "output": Path(snakemake.output.dialogues),
        "system_as": spec.get("system_as", "system"),
    }
    if spec.get("questions"):
        read_question_answers(answers=answers, **common)
    else:
        read_answers(answers=answers, **common)
