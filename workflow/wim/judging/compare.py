"""Comparisons of a shard: which candidates of a context are compared, and a judge's choices."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

from wim.engines.failures import check_answers
from wim.engines.staged import StagedModel, unopened
from wim.judging.mt_bench import MtBenchJudge, answer_pairs, read_questions_of
from wim.judging.pairwise import PairwiseJudge, ResponsePair, pair_id_of, pair_of
from wim.provenance.digest import digest_of, seed_of
from wim.settings.judging import JudgeSettings
from wim.tables.ratings import Status
from wim.tables.schemas import Candidate, Comparison
from wim.templates import read_templates

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Questions:
    """Questions of several turns: the prompts that carry them, and their judge's settings."""

    settings: JudgeSettings
    prompts: Sequence[Path]


def compared_pairs(
    policies: Sequence[Sequence[Candidate]], per_context: int | None, seed: int
) -> Iterator[ResponsePair]:
    """The pairs of candidates that share a context, in the candidates' order.

    A context is shared where turn and messages are the same.

    Args:
        policies: The candidates of two policies, where a is the first's and b the second's; or of
            one, whose candidates are compared with each other.
        per_context: The maximum number of pairs of each context, chosen by seed; None takes all.
        seed: The run's.
    """
    contexts: dict[str, tuple[list[Candidate], ...]] = defaultdict(lambda: ([], []))
    for place, candidates in enumerate(policies):
        for row in candidates:
            # Labelled pairs may share their prompt; their dialogue tells them apart.
            key = digest_of([row.prompt_id, row.dialogue_id, row.turn, row.context])
            contexts[key][place].append(row)
    for first, second in contexts.values():
        pairs = combinations(first, 2) if len(policies) == 1 else product(first, second)
        # Two policies of one model may have sampled the same candidate.
        found = [(a, b) for a, b in pairs if a.candidate_id != b.candidate_id]
        if per_context is not None:
            chosen = sorted(
                found, key=lambda two: seed_of(seed, "compared", *(row.candidate_id for row in two))
            )[:per_context]
            found = [two for two in found if two in chosen]
        for a, b in found:
            yield ResponsePair(
                pair_id=pair_id_of(a.candidate_id, b.candidate_id),
                context=a.context,
                response_a=a.completion,
                response_b=b.completion,
                prompt_id=a.prompt_id,
                a_id=a.candidate_id,
                b_id=b.candidate_id,
            )


def compare_candidates(
    dialogues: Sequence[Path],
    model: StagedModel,
    templates: list[Path],
    judge: str,
    per_context: int | None,
    seed: int,
    output: Path,
    reasoning: bool = False,
    questions: Questions | None = None,
) -> None:
    """Write the comparisons table of one shard, by one judge of pairs.

    The store keeps the model's answer to each order.

    Args:
        dialogues: The dialogues tables of one policy or two, as in `compared_pairs`.
        model: The judge's.
        templates: The judge's.
        judge: Its name.
        per_context: As in `compared_pairs`.
        seed: The run's.
        output: The table.
        reasoning: Whether responses are compared with what was thought before them.
        questions: What the policies answer turn by turn, where they do; None for other prompts.

    Raises:
        UserError: Every comparison failed.
    """
    from wim.tables.files import as_arrow, write_table
    from wim.tables.schemas import COMPARISONS

    rows, new, unanswered = _comparisons(
        dialogues, model, templates, judge, per_context, seed, reasoning, questions
    )
    ties = sum(row.winner == "tie" for row in rows)
    failed = [row.pair_id for row in rows if row.winner is None]
    logger.info(
        "comparisons by %s: %d rows, %d from the store, %d judged; %d ties, %d failed",
        judge,
        len(rows),
        len(rows) - new,
        new,
        ties,
        len(failed),
    )
    # Without a server's reason the prompt was too long. What has another status was answered.
    errors = [row.pair_id for row in rows if row.winner is None and row.status == Status.ERROR]
    reasons = [unanswered.get(pair, "no room in the judge's context") for pair in errors]
    check_answers(f"comparisons by {judge}", len(rows), reasons)
    write_table(output, COMPARISONS, as_arrow(COMPARISONS, rows), failed=len(reasons))


def rows_wanted(
    dialogues: Sequence[Path],
    model: StagedModel,
    templates: list[Path],
    judge: str,
    per_context: int | None,
    seed: int,
    reasoning: bool = False,
    questions: Questions | None = None,
) -> tuple[int, int]:
    """The number of rows that compare_candidates would write, and of those that the store lacks.

    No model is opened.

    Args:
        dialogues, model, templates, judge, per_context, seed, reasoning, questions: As in
            compare_candidates.
    """
    (lookup,) = unopened([model])
    rows, missing, _ = _comparisons(
        dialogues, lookup, templates, judge, per_context, seed, reasoning, questions
    )
    return len(rows), missing


def _comparisons(
    dialogues: Sequence[Path],
    model: StagedModel,
    templates: list[Path],
    judge: str,
    per_context: int | None,
    seed: int,
    reasoning: bool,
    questions: Questions | None,
) -> tuple[list[Comparison], int, dict[str, str]]:
    """The comparisons of a shard, the number of pairs of which the store lacked an order, and why.

    The reasons are those of requests that a server did not answer, by pair.
    """
    from wim.dialogues.conversations import read_judged
    from wim.engines.stored import open_engine

    policies = [read_judged(path, reasoning=reasoning) for path in dialogues]
    texts = read_templates(templates)
    with open_engine(model) as engine:
        if questions is None:
            pairs = list(compared_pairs(policies, per_context, seed))
            rows = PairwiseJudge(judge, engine, texts, model.identity).compare(pairs)
        else:
            answered = list(answer_pairs(*policies))
            asked = read_questions_of(questions.prompts)
            identity = questions.settings, seed, model.identity
            rows = MtBenchJudge(judge, engine, texts, *identity, asked).compare(answered)
    unanswered = {pair_of(key): reason for key, reason in engine.unanswered.items()}
    return rows, len(set(map(pair_of, engine.computed))), unanswered
