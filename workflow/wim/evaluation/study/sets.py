"""Recorded critiques as judged candidates.

Each judgement is a candidate of its own, so that the rewards of the workflow are computed of it as
of any other. Where a response was judged several times, its judgements have positions 0, 1, ...
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wim.errors import UserError
from wim.evaluation.formats.rows import number, some
from wim.evaluation.judged_pairs import LabelledPair
from wim.evaluation.labels.read import read_labels
from wim.evaluation.study.recorded import (
    FORM,
    NAMES,
    Judgement,
    read_recorded,
    read_table_rows,
    texts_of,
)
from wim.judging.parse import read_critique
from wim.judging.phrases.match import KnownPhrases
from wim.provenance.digest import row_id
from wim.settings.judging import JudgeSettings
from wim.settings.study import RecordedSettings
from wim.tables.ratings import HIGHEST, LOWEST, Status

if TYPE_CHECKING:
    import pandas as pd

COLUMN, OTHERS = "the column of labels", "the numbers of the same response's other judgements"
# Of how many judgements a mean is measured at most.
MOST_SAMPLES = 3


@dataclass(frozen=True)
class RecordedSet:
    """Recorded critiques, and what is right.

    Attributes:
        name: The set's.
        judgements: A row for each: the columns that rewards read, and prompt, response (ids),
            position, completion, wim, subset, tokens, number, label.
        labels: What tells which response of two is better, in words.
        better: By the ids of two responses, which of them is better; empty unless pairs say so.
        scale: The lowest and the highest number.
        repeated: How many rows repeat another, and are left out.
    """

    name: str
    judgements: "pd.DataFrame"
    labels: str
    better: dict[tuple[str, str], str]
    scale: tuple[float, float] | None
    repeated: int

    @property
    def has_numbers(self) -> bool:
        """Whether the judge gave numbers."""
        return self.scale is not None

    @property
    def samples(self) -> int:
        """How many judgements of a response can be taken together and still be measured."""
        most = int(self.judgements["position"].max()) + 1
        return min(MOST_SAMPLES, most - (self.labels == OTHERS))


def read_set(
    name: str,
    settings: RecordedSettings,
    files: Sequence[Path],
    labels: Path | None,
    labelled: bool = True,
) -> RecordedSet:
    """A set of recorded critiques.

    Args:
        name: The set's.
        settings: Its settings.
        files: Its files.
        labels: Its file of labels, if it has one.
        labelled: Whether rewards are measured on it.

    Raises:
        UserError: A file cannot be read, or nothing says which response is better although rewards
            are measured on it.
    """
    recorded = read_recorded(settings, files)
    distinct = {
        (one.prompt, one.response, one.critique, one.number): one for one in reversed(recorded)
    }
    judgements = list(reversed(distinct.values()))
    scale = _scale(settings, judgements)
    frame = _frame(judgements, scale)
    better, values = _read_labels(labels, settings) if labels else ({}, {})
    if labels and not (better or values):
        raise UserError(
            f"study.recorded.{name}: {labels}: of no two responses do the labels say that one is "
            "better: all are ties, or contradict each other. Label pairs of which one is better, or "
            f"leave study.recorded.{name}.labels out."
        )
    # Rows that repeat a judgement may have labels by others.
    own = [(_response_of(one), one.label) for one in recorded if one.label is not None]
    frame["label"] = frame["response"].map(values or _means(own)).astype("float64")
    if better or values:
        assert labels is not None
        where = f"the labels of {labels.name}"
    elif frame["label"].notna().any():
        where = COLUMN
    elif (frame["position"] > 0).any() and scale is not None:
        where = OTHERS
    elif not labelled:
        where = "nothing"
    else:
        raise UserError(
            f"study.recorded.{name}: {', '.join(map(str, files))}: nothing says which response is "
            "better: there is no column `label`, and no response with several numbers. Write "
            f"study.recorded.{name}.labels: <file of labelled pairs, or of rows of a response and "
            "a number>."
        )
    return RecordedSet(name, frame, where, better, scale, len(recorded) - len(judgements))


def _scale(
    settings: RecordedSettings, judgements: Sequence[Judgement]
) -> tuple[float, float] | None:
    numbers = [one.number for one in judgements if one.number is not None]
    if not numbers:
        return None
    if settings.scale:
        low, high = settings.scale
        return low, high
    return min(numbers), max(numbers)


def _frame(judgements: Sequence[Judgement], scale: tuple[float, float] | None) -> "pd.DataFrame":
    """The judgements as a frame, in their order."""
    import pandas as pd

    phrases = KnownPhrases(JudgeSettings.model_fields["nothing_missing"].default)
    seen: dict[str, int] = {}
    rows = []
    for one in judgements:
        prompt = prompt_id(one.prompt)
        response = response_id(prompt, one.response)
        position = seen[response] = seen.get(response, -1) + 1
        status, critique = _read(one, phrases, scale is not None)
        rating = None if one.number is None or scale is None else _on_scale(one.number, scale)
        rows.append(
            {
                "candidate_id": row_id([response, position]),
                "prompt_id": prompt,
                "turn": 1,
                "judge": "",
                "status": status.value,
                "rating": rating,
                "rating_expected": rating,
                "nothing_missing_logprob": None,
                "completion_tokens": len(one.response.split()),
                "prompt": prompt,
                "response": response,
                "position": position,
                "completion": one.response,
                "wim": critique if status.usable else None,
                "subset": one.subset,
                "tokens": one.tokens or len((one.critique or "").split()),
                "number": one.number,
            }
        )
    numeric = ("rating", "rating_expected", "nothing_missing_logprob", "number")
    return pd.DataFrame(rows).astype(dict.fromkeys(numeric, "float64"))


def prompt_id(prompt: str) -> str:
    """The id of a prompt of one message, as that of labelled pairs; white space around it is none."""
    return row_id([{"role": "user", "content": prompt.strip()}])


def response_id(prompt: str, response: str) -> str:
    """The id of a response to the prompt of an id."""
    return row_id([prompt, response.strip()])


def _response_of(one: Judgement) -> str:
    return response_id(prompt_id(one.prompt), one.response)


def _read(one: Judgement, phrases: KnownPhrases, numbered: bool) -> tuple[Status, str]:
    if one.critique is None or (numbered and one.number is None):
        return Status.UNPARSABLE, ""
    overlap: float = JudgeSettings.model_fields["echo_overlap"].default
    return read_critique(one.critique, True, phrases, [one.response], overlap)


def _on_scale(value: float, scale: tuple[float, float]) -> float:
    """A number on the scale of the workflow's own judges."""
    low, high = scale
    share = 0.5 if low == high else (value - low) / (high - low)
    return LOWEST + share * (HIGHEST - LOWEST)


def _read_labels(
    path: Path, settings: RecordedSettings
) -> tuple[dict[tuple[str, str], str], dict[str, float]]:
    """Which of two responses is better, or a number for each response, by ids.

    A response with several numbers has their mean.
    """
    content = read_table_rows(path, "labelled pairs, or rows of a response and a number")
    first = content.rows[0]
    if texts_of(first, settings.columns)[1] is None:
        return _better_of(read_labels([path])), {}
    values: list[tuple[str, float]] = []
    unread = list(content.unreadable)
    for row in content.rows:
        asked, response = texts_of(row, settings.columns)
        names = (*NAMES["label"], *NAMES["number"])
        label = next(
            (found for key in names if (found := number(row.values.get(key))) is not None), None
        )
        if asked is None or response is None or label is None:
            unread.append(row.place)
        else:
            values.append((response_id(prompt_id(asked), response), label))
    if unread:
        raise UserError(
            f"{path}: {some(unread)}: no prompt, response and number; expected {FORM}, where the "
            "number is what is right."
        )
    return {}, _means(values)


def _means(values: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The mean of the numbers of each name."""
    found: dict[str, list[float]] = {}
    for name, value in values:
        found.setdefault(name, []).append(value)
    return {name: sum(each) / len(each) for name, each in found.items()}


def _better_of(pairs: Sequence[LabelledPair]) -> dict[tuple[str, str], str]:
    """Which of two responses was labelled the better one more often; no ties."""
    leads: dict[tuple[str, str], int] = {}
    for pair in pairs:
        prompt = prompt_id("\n\n".join(message["content"] for message in pair.context))
        a, b = (response_id(prompt, each) for each in (pair.response_a, pair.response_b))
        lead = {"a": 1, "b": -1, "tie": 0}[pair.better]
        key = (min(a, b), max(a, b))
        leads[key] = leads.get(key, 0) + (lead if a <= b else -lead)
    return {(a, b): a if lead > 0 else b for (a, b), lead in leads.items() if lead}


def statuses_of(judgements: "pd.DataFrame") -> dict[str, int]:
    """How many judgements have each status."""
    return {
        str(name): int(count) for name, count in sorted(judgements["status"].value_counts().items())
    }
