"""Labelled pairs of one or more files, each response of a prompt with one id."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wim.errors import UserError
from wim.evaluation.agreement import majority
from wim.evaluation.judged_pairs import LabelledPair, Winner
from wim.evaluation.labels.forms import FORMS, Form, Labelled, LeftOut
from wim.evaluation.labels.own import OWN
from wim.evaluation.labels.rows import LabelRow, read_rows
from wim.provenance.digest import row_id

logger = logging.getLogger(__name__)
OWN_NAMES = ("pairs", "llmbar")
EQUAL = "two responses that are equal"
VOTED = "a further vote of an annotator on the same pair"
REVERSED: dict[Winner, Winner] = {"a": "b", "b": "a", "tie": "tie"}


def read_labels(paths: Iterable[Path], form: str | None = None) -> list[LabelledPair]:
    """The pairs of files of labels, in their order; the first response of a row is a.

    Rows of the same texts, in whichever order, are votes of several annotators on one pair where
    each names its annotator. In published sets they are pairs of their own, whose responses are
    judged once. What holds no pair is left out with a warning that counts it by cause.

    Args:
        paths: The files, as `read_rows` reads them.
        form: The name of their form, `pairs` for the project's own, which LLMBar's is a part of;
            None tells each file's by the keys of its first row.

    Raises:
        UserError: A file is missing or has no pair, a row is of another form, or rows repeat a
            pair, which are all listed, with those that repeat one in reversed order.
    """
    reading = _Reading()
    files = list(paths)
    for path in files:
        rows = read_rows(path, _named(form, path).expected if form else OWN.expected)
        of = _named(form, path) if form else _told_by_keys(rows[0][1]) if rows else OWN
        left_out: Counter[str] = Counter()
        for place, values in rows:
            row = LabelRow(path, place, values, of.expected)
            try:
                for labelled in of.read(row):
                    if labelled.first == labelled.second:
                        left_out[EQUAL] += 1
                    elif not reading.add(labelled, row) and of is not OWN:
                        left_out[VOTED] += 1
            except LeftOut as found:
                left_out[str(found)] += 1
        reading.check_repeated(refused=of is OWN)
        for cause, count in sorted(left_out.items()):
            logger.warning("%s: left out %d times: %s", path, count, cause)
    pairs = [pair.labelled() for pair in reading.pairs.values()]
    if not pairs:
        names = ", ".join(map(str, files))
        raise UserError(f"{names}: found no labelled pair; expected {OWN.expected}.")
    return _with_shared_ids(pairs)


@dataclass
class _Pair:
    """A pair while votes on it are collected."""

    pair_id: str
    first: Labelled
    row: LabelRow
    votes: list[tuple[str, Winner]]

    def takes(self, votes: Sequence[tuple[str, Winner]]) -> bool:
        """Whether further votes are of other annotators, and then take them in."""
        voters = {voter for voter, _ in self.votes}
        if not votes or not voters or voters & {voter for voter, _ in votes}:
            return False
        self.votes += votes
        return True

    def labelled(self) -> LabelledPair:
        better = self.first.better or majority([vote for _, vote in self.votes])
        return LabelledPair(
            pair_id=self.pair_id,
            context=self.first.context,
            response_a=self.first.first,
            response_b=self.first.second,
            better=better,
            subset=self.first.subset,
            votes=tuple(self.votes),
            group=self.first.group,
            styles=self.first.styles,
        )


@dataclass(frozen=True)
class _Again:
    """A row that repeats the pair of an earlier one."""

    row: LabelRow
    earlier: LabelRow
    reversed: bool

    def __str__(self) -> str:
        elsewhere = "" if self.row.path == self.earlier.path else f"{self.earlier.path}: "
        how = ", reversed" if self.reversed else ""
        return f"{self.row.place} repeats a pair{how} ({elsewhere}{self.earlier.place})"


class _Reading:
    """The pairs found so far, and the rows that repeat one."""

    def __init__(self) -> None:
        self.pairs: dict[str, _Pair] = {}
        self.again: list[_Again] = []

    def add(self, labelled: Labelled, row: LabelRow) -> bool:
        """Take in a pair, or further votes on one; false if that is there already."""
        texts = (labelled.first, labelled.second)
        name = _pair_id(labelled, texts)
        other = _pair_id(labelled, (texts[1], texts[0]))
        if not labelled.merged:
            count = 1
            while name in self.pairs:
                count += 1
                name = row_id([_pair_id(labelled, texts), count])
        elif name in self.pairs:
            if self.pairs[name].takes(labelled.votes):
                return True
            self.again.append(_Again(row, self.pairs[name].row, reversed=False))
            return False
        elif other in self.pairs:
            votes = [(voter, REVERSED[vote]) for voter, vote in labelled.votes]
            if self.pairs[other].takes(votes):
                return True
            self.again.append(_Again(row, self.pairs[other].row, reversed=True))
        self.pairs[name] = _Pair(name, labelled, row, list(labelled.votes))
        return True

    def check_repeated(self, refused: bool) -> None:
        """List the file's rows that repeat a pair: in a UserError if any is the same again.

        Rows that are only reversed are in published sets, and stay pairs of their own.

        Args:
            refused: Whether the file's form is one in which no pair comes again.
        """
        again, self.again = self.again, []
        if not again or not refused:
            return
        listed = f"{again[0].row.path}: {'; '.join(map(str, again))}."
        if all(each.reversed for each in again):
            logger.warning("%s They count as further pairs of their prompts.", listed)
            return
        raise UserError(
            f"{listed} Leave all but one of each out, or name each row's annotator, if they are "
            "votes of several."
        )


def _pair_id(labelled: Labelled, texts: tuple[str, str]) -> str:
    """The id of a pair, by its texts and styles."""
    alone = len(labelled.context) == 1 and labelled.context[0]["role"] == "user"
    prompt = labelled.context[0]["content"] if alone else list(labelled.context)
    styles = list(labelled.styles) if any(labelled.styles) else []
    return row_id([prompt, *texts, *styles])


def _with_shared_ids(pairs: Sequence[LabelledPair]) -> list[LabelledPair]:
    """The pairs, in which a response that is in several has the smallest id that it has in any."""
    smallest: dict[tuple[str, str], str] = {}
    for pair in pairs:
        for candidate in pair.candidates:
            key = (pair.prompt, candidate.completion)
            smallest[key] = min(candidate.candidate_id, smallest.get(key, candidate.candidate_id))
    return [
        replace(
            pair,
            ids=(smallest[pair.prompt, pair.response_a], smallest[pair.prompt, pair.response_b]),
        )
        for pair in pairs
    ]


def _told_by_keys(values: object) -> Form:
    keys = set(values) if isinstance(values, dict) else set()
    return next((form for form in FORMS.values() if form.keys <= keys), OWN)


def _named(form: str, path: Path) -> Form:
    if form in OWN_NAMES:
        return OWN
    if form not in FORMS:
        raise UserError(f"{path}: no form {form!r}; write {', '.join([*OWN_NAMES, *FORMS])}.")
    return FORMS[form]
