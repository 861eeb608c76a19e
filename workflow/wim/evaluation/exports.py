"""An evaluation in the formats of other tools, so that these can go on from it."""

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from wim.atomic import whole_folder
from wim.evaluation.compared.outcomes import Outcome
from wim.evaluation.compared.style import style_of
from wim.evaluation.formats.alpaca_eval import (
    Annotation,
    ModelOutput,
    write_annotations,
    write_model_outputs,
)
from wim.evaluation.formats.arena_hard import ArenaAnswer, write_answers
from wim.evaluation.formats.fastchat import (
    ModelAnswer,
    PairwiseJudgement,
    SingleJudgement,
    write_judgements,
    write_model_answers,
    write_questions,
)
from wim.evaluation.question_judgements import (
    answered_questions,
    pair_judgements,
    single_judgements,
)
from wim.evaluation.speakers import (
    Answers,
    answers_of_speakers,
    judged_outcomes,
    scored_outcomes,
    table_rows,
)
from wim.prompts.questions import Question
from wim.tables.schemas import PROMPTS, Candidate

logger = logging.getLogger(__name__)


class ExportInputs(Protocol):
    """What is exported: as the inputs of an evaluation."""

    prompts: Sequence[str]
    answers: Sequence[str]
    ratings: Sequence[str]
    comparisons: Sequence[str]
    rewards: Sequence[str]


def export_evaluation(
    inputs: ExportInputs, speakers: Sequence[str], by: str | None, pairs: bool, output: Path
) -> None:
    """Write the answers of every speaker, and what was said of them, into a folder.

    alpaca_eval/<speaker>/model_outputs.json and annotations.json (against the reference; the
    preference is the mean of both orders, null where one failed), model_answer/<speaker>.jsonl of
    FastChat, and arena_hard/<speaker>.jsonl. Ids are those of the prompts.

    Args:
        inputs: The tables.
        speakers: Who answers, the reference first, in the order of the inputs.
        by: The judge or the reward that says who wins; None of an evaluation by means.
        pairs: Whether it is a judge of pairs.
        output: The folder; it appears whole or not at all.
    """
    rows = table_rows(inputs.prompts, PROMPTS, ["prompt_id", "messages"])
    instructions = {row["prompt_id"]: row["messages"][-1]["content"] for row in rows}
    answers = answers_of_speakers(inputs.answers, speakers)
    outcomes: Mapping[str, Sequence[Outcome]] = {}
    if by is not None:
        read = judged_outcomes if pairs else scored_outcomes
        outcomes = read(inputs.comparisons if pairs else inputs.rewards, speakers, answers)
    with whole_folder(output) as folder:
        for speaker in speakers:
            _write_answers(folder, speaker, answers[speaker], instructions)
        for speaker, of in outcomes.items():
            write_annotations(
                folder / "alpaca_eval" / speaker / "annotations.json",
                _annotations(speaker, speakers[0], str(by), of, answers, instructions),
            )
    logger.info("evaluation: answers of %d speakers: %s", len(speakers), output)


def export_questions(
    inputs: ExportInputs,
    speakers: Sequence[str],
    judge: str,
    mode: str,
    published: bool,
    output: Path,
) -> None:
    """Write questions, answers and judgements in FastChat's formats into a folder.

    question.jsonl, model_answer/<speaker>.jsonl, with the turns that were answered, and
    model_judgment/<judge>_single.jsonl or <judge>_pair.jsonl, where a failed judgement is -1 or
    error. `wim mtbench` has the evaluation's own figures of them.

    Args:
        inputs: The tables.
        speakers: Who answers, the reference first, in the order of the inputs.
        judge: Its name.
        mode: Whether answers are graded, `single`, or compared, `pairwise`.
        published: Whether judgements are read as published.
        output: The folder; it appears whole or not at all.
    """
    answered = answered_questions(inputs.prompts, inputs.answers, speakers)
    questions = sorted(answered.questions.items(), key=lambda each: _number(each[1].question_id))
    judgements: Sequence[SingleJudgement | PairwiseJudgement]
    if mode == "single":
        judgements = single_judgements(answered, inputs.ratings, judge, published)
    else:
        judgements = pair_judgements(answered, inputs.comparisons, judge, published)
    with whole_folder(output) as folder:
        for part in ("model_answer", "model_judgment"):
            (folder / part).mkdir()
        write_questions(folder / "question.jsonl", [question for _, question in questions])
        for speaker, answers in answered.answers.items():
            write_model_answers(
                folder / "model_answer" / f"{speaker}.jsonl",
                [
                    ModelAnswer(question_id=question.question_id, model=speaker, turns=turns)
                    for prompt, question in questions
                    if (turns := _turns_of(prompt, question, answers))
                ],
            )
        name = f"{judge}_{'single' if mode == 'single' else 'pair'}.jsonl"
        write_judgements(folder / "model_judgment" / name, judgements)
    logger.info("evaluation: answers of %d speakers: %s", len(speakers), output)


def _turns_of(
    prompt: str, question: Question, answers: Mapping[tuple[str, int], Candidate]
) -> tuple[str, ...]:
    """A speaker's answers to a question, up to the last that it has."""
    numbers = range(1, len(question.turns) + 1)
    return tuple(answers[prompt, turn].completion for turn in numbers if (prompt, turn) in answers)


def _number(question_id: str) -> tuple[int, str]:
    """Orders ids that are numbers by these, and before others."""
    return (int(question_id), "") if question_id.isdecimal() else (sys.maxsize, question_id)


def _write_answers(
    folder: Path, speaker: str, answers: Answers, instructions: Mapping[str, str]
) -> None:
    for part in (f"alpaca_eval/{speaker}", "model_answer", "arena_hard"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    named = sorted(answers.items())
    write_model_outputs(
        folder / "alpaca_eval" / speaker / "model_outputs.json",
        [
            ModelOutput(instruction=instructions[prompt], output=one.text, generator=speaker)
            for prompt, one in named
        ],
    )
    write_model_answers(
        folder / "model_answer" / f"{speaker}.jsonl",
        [ModelAnswer(question_id=p, model=speaker, turns=(one.text,)) for p, one in named],
    )
    write_answers(
        folder / "arena_hard" / f"{speaker}.jsonl",
        [
            (
                ArenaAnswer(
                    uid=prompt,
                    model=speaker,
                    prompt=instructions[prompt],
                    answer=one.text,
                    tokens=one.tokens,
                ),
                style_of(one.text, one.tokens),
            )
            for prompt, one in named
        ],
    )


def _annotations(
    speaker: str,
    reference: str,
    by: str,
    outcomes: Sequence[Outcome],
    answers: Mapping[str, Answers],
    instructions: Mapping[str, str],
) -> list[Annotation]:
    return [
        Annotation(
            instruction=instructions[one.prompt_id],
            output_1=answers[reference][one.prompt_id].text,
            generator_1=reference,
            output_2=answers[speaker][one.prompt_id].text,
            generator_2=speaker,
            annotator=by,
            preference=None if one.score is None else 1 + one.score,
            cause=one.cause,
        )
        for one in outcomes
    ]
