"""Labelled pairs in LLMBar's format, and the judgements that its authors have recorded.

LLMBar: Zeng et al. 2023 (arXiv 2310.07641), github.com/princeton-nlp/LLMBar. A file is a JSON list
of {input, output_1, output_2, label}, where label is the number of the better output. A file of
recorded judgements has the same rows with `results`: a judge's raw text in both orders, or its two
scores.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from wim.errors import UserError
from wim.evaluation.judged_pairs import LabelledPair, PairJudgement, Winner, of_scores
from wim.provenance.digest import row_id
from wim.tables.ratings import Status

FORM = "expected a list of {input, output_1, output_2, label}, where label is 1 or 2"
# How a recorded judge names the better output: at the start of a line, or in a conclusion.
CHOICES = {
    "opening": (r"(?:^|\n) ?Output \(a\)", r"(?:^|\n) ?Output \(b\)"),
    "conclusion": (r"Output \(a\) is better\b", r"Output \(b\) is better\b"),
}


def read_labelled_pairs(path: Path) -> list[LabelledPair]:
    """The pairs of a file in LLMBar's format, with output_1 as a.

    Raises UserError, with file and row, for a file of another form and for a repeated pair.
    """
    pairs: dict[str, LabelledPair] = {}
    for place, row in _rows(path):
        pair = _pair(row)
        if pair.pair_id in pairs:
            raise UserError(f"{path}: row {place} repeats a pair; leave one out.")
        pairs[pair.pair_id] = pair
    return list(pairs.values())


def read_recorded(
    path: Path, choice: Literal["opening", "conclusion"] = "opening"
) -> list[PairJudgement]:
    """A judge's recorded judgements of the pairs of a file; of two scores the higher wins.

    Args:
        path: The file.
        choice: How the judge was instructed to name the better output. As in the published evaluation,
            the first output counts if the text names both.

    Raises:
        UserError: With file and row, for a file of another form.
    """
    found = []
    for place, row in _rows(path):
        pair = _pair(row)
        try:
            found.append(_judgement(pair.pair_id, row["results"][-1], choice))
        except (KeyError, IndexError, TypeError):
            raise UserError(
                f"{path}: row {place} has no recorded judgement; expected `results` with a "
                "completion for 'swap = False' and 'swap = True', or with score_1 and score_2."
            ) from None
    return found


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a file with their numbers from 1, checked."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {FORM}.") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); {FORM}.") from None
    if not isinstance(rows, list):
        raise UserError(f"{path}: found no list; {FORM}.")
    for place, row in enumerate(rows, start=1):
        texts = [row.get(key) for key in ("input", "output_1", "output_2")] if _is_map(row) else []
        if not texts or not all(isinstance(text, str) for text in texts):
            raise UserError(f"{path}: row {place} has no texts to compare; {FORM}.")
        if row.get("label") not in (1, 2):
            raise UserError(f"{path}: row {place} has the label {row.get('label')!r}; {FORM}.")
        yield place, row


def _is_map(row: object) -> bool:
    return isinstance(row, Mapping)


def _pair(row: Mapping[str, Any]) -> LabelledPair:
    prompt, first, second = row["input"], row["output_1"], row["output_2"]
    return LabelledPair(
        pair_id=row_id([prompt, first, second]),
        context=({"role": "user", "content": prompt},),
        response_a=first,
        response_b=second,
        better="a" if row["label"] == 1 else "b",
    )


def _judgement(pair_id: str, result: Mapping[str, Any], choice: str) -> PairJudgement:
    if "score_1" in result:
        a, b = (_score(result[key][0]) for key in ("score_1", "score_2"))
        return of_scores(pair_id, (a, b), (_status(a), _status(b)))
    in_order = _choice(result["swap = False"]["completion"][0], choice, ("a", "b"))
    swapped = _choice(result["swap = True"]["completion"][0], choice, ("b", "a"))
    return PairJudgement(pair_id, in_order, swapped, (_status(in_order), _status(swapped)))


def _choice(text: str, choice: str, shown: tuple[Winner, Winner]) -> Winner | None:
    """Which of the two outputs shown a text names; None if it names none."""
    for pattern, output in zip(CHOICES[choice], shown, strict=True):
        if re.search(pattern, text.strip()):
            return output
    return None


def _score(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\s*\d+\s*", text) else None


def _status(read: object) -> str:
    return (Status.UNPARSABLE if read is None else Status.OK).value
