"""Win rates of a file in AlpacaEval's format, one for each model, reference and judge in it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wim.evaluation.compared.length_controlled import (
    Gamed,
    LengthControlled,
    Variant,
    length_controlled,
)
from wim.evaluation.compared.outcomes import Outcome
from wim.evaluation.compared.win_rate import WinRate, by_category, win_rate
from wim.evaluation.formats.alpaca_eval import Annotation, ModelOutput
from wim.statistics import MeanAndError

# The reference of AlpacaEval 2, which its gamed rows are of.
GAMED_REFERENCE = "gpt4_1106_preview"
NOT_ANNOTATED = "answer without annotation"


@dataclass(frozen=True)
class LengthControl:
    """What length-controlled win rates need beside lengths.

    Attributes:
        difficulties: Of AlpacaEval's instructions, in its order; null without.
        instructions: In that order; without them a file that has as many rows is taken to be.
        gamed: The gamed rows of the reference of AlpacaEval 2.
    """

    difficulties: Sequence[float] | None = None
    instructions: Sequence[str] | None = None
    gamed: Gamed | None = None


@dataclass(frozen=True)
class FileWinRate:
    """A model's figures against a reference, by a judge.

    Attributes:
        figures: As shares.
        standard_error: Of the mean over the rows, as published.
        length_controlled: By variant; only those that can be fitted.
        by_dataset: The figures of each data set that rows name.
        dropped: How many answers have no preference, by cause.
        notes: What else to know.
    """

    model: str
    reference: str
    judge: str
    figures: WinRate
    standard_error: float | None
    length_controlled: Mapping[Variant, LengthControlled]
    by_dataset: Mapping[str, WinRate]
    dropped: Mapping[str, int]
    notes: tuple[str, ...]


def file_win_rates(
    annotations: Iterable[Annotation],
    seed: int,
    control: LengthControl,
    outputs: Sequence[ModelOutput] = (),
    reference_outputs: Sequence[ModelOutput] = (),
) -> list[FileWinRate]:
    """The figures of each model, reference and judge, highest win rate first.

    Args:
        annotations: A file's.
        seed: Of the bootstraps.
        control: For length-controlled win rates.
        outputs, reference_outputs: The models' and the references' answers, joined by instruction:
            for lengths that the annotations lack, and for what was not annotated.
    """
    groups: dict[tuple[str, str, str], list[Annotation]] = {}
    for row in annotations:
        groups.setdefault((row.generator_2, row.generator_1, row.annotator), []).append(row)
    models, references = ({names[place] for names in groups} for place in (0, 1))

    def outputs_of(names: tuple[str, str, str]) -> tuple[dict[str, str], dict[str, str]]:
        model, reference, _ = names
        return (
            _answers(reference_outputs, reference, references),
            _answers(outputs, model, models),
        )

    found = [
        _figures(names, rows, seed, control, outputs_of(names)) for names, rows in groups.items()
    ]
    return sorted(found, key=lambda one: -(one.figures.win_rate.value or 0))


def _figures(
    names: tuple[str, str, str],
    rows: Sequence[Annotation],
    seed: int,
    control: LengthControl,
    answers: tuple[dict[str, str], dict[str, str]],
) -> FileWinRate:
    model, reference, judge = names
    outcomes = _outcomes(rows, answers)
    figures = win_rate(outcomes, seed)
    notes = []
    repeated = len(rows) - len({row.instruction for row in rows})
    if repeated:
        notes.append(f"{repeated} rows repeat an instruction; they count, and share a prompt")
    notes += _join_notes(rows, outcomes, answers[1])
    unjudged = answers[1].keys() - {row.instruction for row in rows}
    dropped = dict(figures.failures) | ({NOT_ANNOTATED: len(unjudged)} if unjudged else {})
    controlled, more = _controlled(outcomes, seed, control, model, reference)
    return FileWinRate(
        model=model,
        reference=reference,
        judge=judge,
        figures=figures,
        standard_error=MeanAndError.of(
            [one.score for one in outcomes if one.score is not None]
        ).standard_error,
        length_controlled=controlled,
        by_dataset=by_category(outcomes, seed),
        dropped=dropped,
        notes=(*notes, *more),
    )


def _answers(
    outputs: Sequence[ModelOutput], generator: str, generators: set[str]
) -> dict[str, str]:
    """A generator's answers by instruction.

    Where the annotations have one generator and the outputs one of another name, it is the same.
    """
    own = [one for one in outputs if one.generator == generator]
    if not own and len(generators) == 1 and len({one.generator for one in outputs}) == 1:
        own = list(outputs)
    return {one.instruction: one.output for one in own}


def _outcomes(
    rows: Sequence[Annotation], answers: tuple[Mapping[str, str], Mapping[str, str]]
) -> list[Outcome]:
    """An outcome of each row; rows that repeat an instruction have ids of their own."""
    seen: Counter[str] = Counter()
    found = []
    for row in rows:
        texts = [
            answer if answer is not None else others.get(row.instruction)
            for answer, others in zip((row.output_1, row.output_2), answers, strict=True)
        ]
        reference_length, length = (None if text is None else len(text) for text in texts)
        found.append(
            Outcome(
                prompt_id=_key(row.instruction, seen),
                scores=(None if row.preference is None else row.preference - 1,),
                cause=row.cause,
                length=length,
                reference_length=reference_length,
                cluster=row.instruction,
                category=row.dataset,
            )
        )
    return found


def _key(instruction: str, seen: Counter[str]) -> str:
    """The instruction, with a number from its second occurrence on."""
    seen[instruction] += 1
    return instruction if seen[instruction] == 1 else f"{instruction} ({seen[instruction]})"


def _join_notes(
    rows: Sequence[Annotation], outcomes: Sequence[Outcome], answers: Mapping[str, str]
) -> list[str]:
    notes = []
    if answers:
        missing = sum(row.instruction not in answers for row in rows)
        if missing:
            notes.append(f"{missing} annotated instructions are not in the outputs")
        others = sum(
            row.output_2 is not None and answers.get(row.instruction, row.output_2) != row.output_2
            for row in rows
        )
        if others:
            notes.append(f"{others} annotated answers differ from those in the outputs")
    unknown = sum(one.length is None or one.reference_length is None for one in outcomes)
    if unknown:
        notes.append(f"{unknown} of {len(rows)} rows lack an answer, and so its length")
    return notes


def _controlled(
    outcomes: Sequence[Outcome], seed: int, control: LengthControl, model: str, reference: str
) -> tuple[dict[Variant, LengthControlled], list[str]]:
    """The length-controlled win rates that can be fitted, and why not others."""
    if not any(one.length is not None and one.reference_length is not None for one in outcomes):
        return {}, ["no length-controlled win rate without the answers"]
    difficulties, notes = _difficulties(outcomes, control)
    variants: list[Variant] = ["minimal"]
    if difficulties is not None:
        variants += ["noreg", "v1"] if control.gamed is not None else ["noreg"]
    if "v1" in variants and reference != GAMED_REFERENCE:
        notes.append(f"the gamed rows of v1 are of {GAMED_REFERENCE}, and not of {reference}")
    return {
        variant: length_controlled(
            variant,
            outcomes,
            seed,
            difficulties=difficulties,
            gamed=control.gamed,
            same_speaker=model == reference,
        )
        for variant in variants
    }, notes


def _difficulties(
    outcomes: Sequence[Outcome], control: LengthControl
) -> tuple[Mapping[str, float] | None, list[str]]:
    """The difficulties by prompt_id, joined by instruction; by place in a file that is complete."""
    if control.difficulties is None:
        return None, []
    if control.instructions is None:
        if len(outcomes) != len(control.difficulties):
            return None, [
                f"{len(outcomes)} rows are not the {len(control.difficulties)} instructions with a "
                "difficulty: only the variant minimal is fitted; --instructions joins them"
            ]
        ids = [one.prompt_id for one in outcomes]
        notes = ["difficulties are joined by place, as the file has as many rows"]
    else:
        seen: Counter[str] = Counter()
        ids = [_key(instruction, seen) for instruction in control.instructions]
        notes = _unequal({one.prompt_id for one in outcomes}, set(ids))
    return dict(zip(ids, control.difficulties, strict=True)), notes


def _unequal(annotated: set[str], known: set[str]) -> list[str]:
    notes = []
    if without := len(annotated - known):
        notes.append(f"{without} annotated instructions have no difficulty: left out of noreg, v1")
    if missing := len(known - annotated):
        notes.append(f"{missing} of {len(known)} instructions with a difficulty are not annotated")
    return notes
