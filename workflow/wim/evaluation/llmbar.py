"""Labelled pairs in LLMBar's format, and the judgements that its authors have recorded.

LLMBar: Zeng et al. 2023 (arXiv 2310.07641), github.com/princeton-nlp/LLMBar. A file is a JSON list
of {input, output_1, output_2, label}, where label is the number of the better output. A file of
recorded judgements has the same rows with `results`: a judge's raw text in both orders, or its two
scores.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from wim.errors import UserError
from wim.evaluation.judged_pairs import LabelledPair, PairJudgement, Winner, of_scores
from wim.evaluation.labels.own import OWN
from wim.evaluation.labels.read import read_labels
from wim.evaluation.labels.rows import read_rows
from wim.tables.ratings import Status

# How a recorded judge names the better output: at the start of a line, or in a conclusion.
CHOICES = {
    "opening": (r"(?:^|\n) ?Output \(a\)", r"(?:^|\n) ?Output \(b\)"),
    "conclusion": (r"Output \(a\) is better\b", r"Output \(b\) is better\b"),
}


def read_labelled_pairs(path: Path) -> list[LabelledPair]:
    """The pairs of a file in LLMBar's format, with output_1 as a; errors as of `read_labels`."""
    return read_labels([path], "llmbar")


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
    rows = read_rows(path, OWN.expected)
    for pair, (place, row) in zip(read_labelled_pairs(path), rows, strict=True):
        try:
            found.append(_judgement(pair.pair_id, row["results"][-1], choice))
        except (KeyError, IndexError, TypeError):
            raise UserError(
                f"{path}: {place} has no recorded judgement; expected `results` with a completion "
                "for 'swap = False' and 'swap = True', or with score_1 and score_2."
            ) from None
    return found


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
