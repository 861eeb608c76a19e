"""A sequence classifier as a judge: the probability of one of its labels for each candidate."""

import logging
from pathlib import Path

from wim.engines.failures import check_answers
from wim.engines.label_scores import open_label_scorer
from wim.engines.staged import StagedModel, unopened
from wim.judging.reward_model import RewardModelJudge
from wim.provenance.digest import digest_of
from wim.settings.judging import JudgeSettings
from wim.tables.ratings import Status
from wim.tables.schemas import Candidate, Rating

logger = logging.getLogger(__name__)


def rate_by_label(
    dialogues: Path,
    model: StagedModel,
    judge: str,
    label: str,
    output: Path,
    conversations: bool = False,
    reasoning: bool = False,
) -> None:
    """Write the ratings table of one shard of dialogues, by one classifier.

    The probability is `rating_expected`, as a reward model's number is.

    Args:
        dialogues, model, judge, output, conversations, reasoning: As in
            `wim.judging.rate.rate_candidates`.
        label: The label's name in the model's configuration, or its place from 0.

    Raises:
        UserError: The model has no such label, or every judgement is an error.
    """
    from wim.dialogues.conversations import read_judged
    from wim.tables.files import as_arrow, write_table
    from wim.tables.schemas import RATINGS

    candidates = read_judged(dialogues, conversations, reasoning)
    ratings, new = _ratings(candidates, model, judge, label)
    reasons = [
        row.raw.removeprefix("(no answer: ").removesuffix(")")
        for row in ratings
        if row.status == Status.ERROR
    ]
    logger.info(
        "ratings by %s: %d rows, %d from the store, %d judged: %d error",
        *(judge, len(ratings), len(ratings) - new, new, len(reasons)),
    )
    check_answers(f"ratings by {judge}", len(ratings), reasons)
    write_table(output, RATINGS, as_arrow(RATINGS, ratings), failed=len(reasons))


def rows_wanted(
    dialogues: Path,
    model: StagedModel,
    judge: str,
    label: str,
    conversations: bool = False,
    reasoning: bool = False,
) -> tuple[int, int]:
    """The number of rows that rate_by_label would write, and of those that the store lacks.

    No model is opened.
    """
    from wim.dialogues.conversations import read_judged

    (lookup,) = unopened([model])
    ratings, missing = _ratings(
        read_judged(dialogues, conversations, reasoning), lookup, judge, label
    )
    return len(ratings), missing


def _ratings(
    candidates: list[Candidate], model: StagedModel, judge: str, label: str
) -> tuple[list[Rating], int]:
    """The ratings of candidates, and how many of them the store lacked."""
    settings = JudgeSettings(model=judge, method="reward_model")
    with open_label_scorer(model, label) as scorer:
        rater = RewardModelJudge(judge, scorer, settings, digest_of([model.digest, label]))
        return rater.rate(candidates), len(scorer.computed)
