"""The project's own form of labels, which LLMBar's is a part of."""

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from numbers import Real

from wim.evaluation.judged_pairs import Winner
from wim.evaluation.labels.forms import Form, Labelled
from wim.evaluation.labels.rows import Context, LabelRow
from wim.provenance.digest import row_id

LABELS: Mapping[object, Winner] = {1: "a", 2: "b", "tie": "tie"}


def read_own(row: LabelRow) -> Iterator[Labelled]:
    """The pairs of a row: one of two outputs, or every two of several with ranks or scores."""
    context = _context(row)
    subset, annotator = row.name("subset"), row.name("annotator")
    if "outputs" in row.values:
        outputs, places = row.texts("outputs"), _places(row)
        if len(set(outputs)) < len(outputs):
            row.refuse("has the same output twice")
        group = row_id([list(context), outputs]) if len(outputs) > 2 else ""
        for one, other in combinations(range(len(outputs)), 2):
            lead = places[one] - places[other]
            better: Winner = "a" if lead < 0 else "b" if lead > 0 else "tie"
            yield _labelled(
                context, (outputs[one], outputs[other]), better, annotator, subset, group
            )
        return
    first, second = row.text("output_1"), row.text("output_2")
    if "votes" not in row.values:
        better = row.winner(LABELS, row.values.get("label"))
        yield _labelled(context, (first, second), better, annotator, subset)
        return
    if "label" in row.values or annotator:
        row.refuse("has votes beside a label or an annotator")
    yield Labelled(context, first, second, votes=_votes(row), subset=subset, merged=True)


OWN = Form(
    frozenset(),
    "a list of {input, output_1, output_2, label}, where label is 1 or 2 for the better output, or "
    '"tie"; besides {instruction, annotator, subset}, votes: {<annotator>: <label>} in place of '
    "label, or outputs: [...] with ranks or scores in place of two outputs",
    read_own,
)


def _labelled(
    context: Context,
    outputs: tuple[str, str],
    better: Winner,
    annotator: str,
    subset: str,
    group: str = "",
) -> Labelled:
    votes = ((annotator, better),) if annotator else ()
    label = None if annotator else better
    return Labelled(context, *outputs, label, votes, subset, group, merged=True)


def _context(row: LabelRow) -> Context:
    """The prompt: input, a text or a conversation; or an instruction, with input if it has one."""
    instruction = row.optional("instruction")
    if isinstance(row.values.get("input"), list):
        if instruction:
            row.refuse("has an instruction beside a conversation")
        return row.conversation("input")
    if instruction:
        return row.instruction_with_input(instruction, row.optional("input"))
    return row.prompt("input")


def _votes(row: LabelRow) -> tuple[tuple[str, Winner], ...]:
    votes = row.values["votes"]
    if isinstance(votes, list):
        votes = {str(number): vote for number, vote in enumerate(votes, start=1)}
    if not isinstance(votes, Mapping) or not votes:
        row.refuse(f"has the votes {votes!r}")
    return tuple((str(name), row.winner(LABELS, vote)) for name, vote in votes.items())


def _places(row: LabelRow) -> list[float]:
    """The places of the outputs, the best lowest: their ranks, or their scores with the sign off."""
    keys = [key for key in ("ranks", "scores") if key in row.values]
    outputs = row.values["outputs"]
    if len(keys) != 1 or not isinstance(outputs, list) or len(outputs) < 2:
        row.refuse("has no two outputs or more with either ranks or scores")
    numbers = row.values[keys[0]]
    if not isinstance(numbers, list) or len(numbers) != len(outputs):
        row.refuse(f"has {len(outputs)} outputs and the {keys[0]} {numbers!r}")
    if not all(_is_number(number) for number in numbers):
        row.refuse(f"has the {keys[0]} {numbers!r}, which are not all numbers")
    sign = 1 if keys[0] == "ranks" else -1
    return [sign * float(number) for number in numbers]


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
