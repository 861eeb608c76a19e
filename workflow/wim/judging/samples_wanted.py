"""How many judgements a job of samples wants, and how many of its requests the store lacks."""

from pathlib import Path

from wim.engines.staged import StagedModel, unopened
from wim.engines.stored import open_engine
from wim.judging import rate_aspects, samples
from wim.provenance.code_changes import rows_of
from wim.settings.sampled_judges import NamedJudge


def rows_wanted(
    dialogues: Path,
    model: StagedModel,
    templates: list[Path],
    judge: str,
    settings: NamedJudge,
    seed: int,
    conversations: bool = False,
    reasoning: bool = False,
) -> tuple[int, int]:
    """The number of judgements that a job would write, and of requests that the store lacks.

    No model is opened.

    Args:
        dialogues, model, templates, judge, settings, seed, conversations, reasoning: As in
            `wim.judging.samples.rate_samples`, or in `rate_aspects` of a judge of aspects.
    """
    from wim.dialogues.conversations import read_judged

    (lookup,) = unopened([model])
    candidates = read_judged(dialogues, conversations, reasoning)
    stage = rate_aspects.STAGE if settings.aspects else samples.STAGE
    with rows_of(stage), open_engine(lookup) as engine:
        of_judge = (judge, engine, templates, settings, seed, lookup.identity)
        if settings.aspects:
            rate_aspects.rated_aspects(
                rate_aspects.judge_of_aspects(*of_judge), candidates, settings.samples
            )
        else:
            samples.rated(samples.judge_of_samples(*of_judge), candidates, settings.samples)
        return settings.samples * len(candidates), len(engine.computed)
