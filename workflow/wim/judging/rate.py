"""The ratings of a shard of dialogues, by the method that a judge's settings name."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from wim.engines.base import Engine
from wim.engines.failures import check_answers
from wim.engines.staged import StagedModel, unopened
from wim.judging.base import Judge
from wim.judging.mt_bench import MtBenchJudge, read_questions_of
from wim.judging.reward_model import RewardModelJudge
from wim.judging.single_call import SingleCallJudge
from wim.judging.structured import StructuredJudge
from wim.judging.upstream import UpstreamJudge
from wim.settings.judging import JudgeSettings
from wim.tables.ratings import Status
from wim.tables.schemas import Candidate, Rating
from wim.templates import Templates, read_templates

logger = logging.getLogger(__name__)
JUDGES: Mapping[str, type[Judge]] = {
    "structured": StructuredJudge,
    "single_call": SingleCallJudge,
    "upstream": UpstreamJudge,
}


def judge_of(
    name: str,
    engine: Engine,
    templates: Templates,
    settings: JudgeSettings,
    seed: int,
    model_digest: str,
) -> Judge:
    """The judge of the method that the settings name."""
    return JUDGES[settings.method](name, engine, templates, settings, seed, model_digest)


def answer_codes() -> dict[str, str]:
    """The digests of the code that decides an answer of a judge's model, by the kind of engine."""
    from wim.engines.stored import engine_codes
    from wim.engines.stored_scores import SCORE, score_code

    return {**engine_codes(), SCORE: score_code()}


def rate_candidates(
    dialogues: Path,
    model: StagedModel,
    templates: list[Path],
    judge: str,
    settings: JudgeSettings,
    seed: int,
    output: Path,
    conversations: bool = False,
    reasoning: bool = False,
    questions: Sequence[Path] = (),
) -> None:
    """Write the ratings table of one shard of dialogues, by one judge.

    The store keeps the model's answers, not what was parsed from them, so that an edit of the
    parser queries the model for nothing again.

    Args:
        dialogues: The dialogues table of the shard.
        model: The judge's.
        templates: The judge's.
        judge: Its name.
        settings: Its settings.
        seed: The run's.
        output: The table.
        conversations: Whether a candidate is judged with the whole conversation that followed it.
        reasoning: Whether it is judged with what was thought before it.
        questions: The prompts whose questions are answered turn by turn; mt_bench alone.

    Raises:
        UserError: Every judgement is an error.
    """
    from wim.dialogues.conversations import read_judged
    from wim.tables.files import as_arrow, write_table
    from wim.tables.schemas import RATINGS

    candidates = read_judged(dialogues, conversations, reasoning)
    ratings, new, unanswered = _ratings(
        candidates, model, templates, judge, settings, seed, questions
    )
    counts = {status.value: sum(row.status == status for row in ratings) for status in Status}
    found = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    logger.info(
        "ratings by %s: %d rows, %d from the store, %d judged: %s",
        judge,
        len(ratings),
        len(ratings) - new,
        new,
        found or "none",
    )
    reasons = [
        unanswered.get(row.candidate_id) or row.raw.removeprefix("(no answer: ").removesuffix(")")
        for row in ratings
        if row.status == Status.ERROR
    ]
    check_answers(f"ratings by {judge}", len(ratings), reasons)
    if ratings and not any(Status(row.status).usable for row in ratings):
        logger.warning("ratings by %s: none of %d is usable: %s", judge, len(ratings), found)
    write_table(output, RATINGS, as_arrow(RATINGS, ratings), failed=len(reasons))


def rows_wanted(
    dialogues: Path,
    model: StagedModel,
    templates: list[Path],
    judge: str,
    settings: JudgeSettings,
    seed: int,
    conversations: bool = False,
    reasoning: bool = False,
    questions: Sequence[Path] = (),
) -> tuple[int, int]:
    """The number of rows that rate_candidates would write, and of those that the store lacks.

    No model is opened.

    Args:
        dialogues, model, templates, judge, settings, seed, conversations, reasoning, questions:
            As in rate_candidates.
    """
    from wim.dialogues.conversations import read_judged

    (lookup,) = unopened([model])
    candidates = read_judged(dialogues, conversations, reasoning)
    ratings, missing, _ = _ratings(candidates, lookup, templates, judge, settings, seed, questions)
    return len(ratings), missing


def _ratings(
    candidates: list[Candidate],
    model: StagedModel,
    templates: list[Path],
    judge: str,
    settings: JudgeSettings,
    seed: int,
    questions: Sequence[Path],
) -> tuple[list[Rating], int, Mapping[str, str]]:
    """The ratings of candidates, the number of requests that the store lacked, and why some failed.

    The reasons are those of requests that a server did not answer, by candidate.
    """
    from wim.engines.stored import open_engine
    from wim.engines.stored_scores import open_scorer

    if settings.method == "reward_model":
        with open_scorer(model) as scorer:
            rater = RewardModelJudge(judge, scorer, settings, model.digest)
            return rater.rate(candidates), len(scorer.computed), {}
    texts = read_templates(templates)
    with open_engine(model) as engine:
        if settings.grades:
            asked = read_questions_of(questions)
            grader = MtBenchJudge(judge, engine, texts, settings, seed, model.identity, asked)
            return grader.rate(candidates), len(engine.computed), engine.unanswered
        rater_of_method = judge_of(judge, engine, texts, settings, seed, model.identity)
        return rater_of_method.rate(candidates), len(engine.computed), engine.unanswered
