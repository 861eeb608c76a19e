"""The forms of published sets of labels, one reader each: a row of the file to labelled pairs.

Fields are those of the files that the authors publish: PandaLM (Wang et al. 2023, arXiv
2306.05087), JudgeBench (Tan et al. 2024, 2410.12784), RewardBench 2 (Malik et al. 2025,
2506.01937), RM-Bench (Liu et al. 2024, 2410.16184), HH-RLHF (Bai et al. 2022, 2204.05862), Auto-J
(Li et al. 2023, 2310.05470) and MT-Bench's votes (Zheng et al. 2023, 2306.05685).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from wim.evaluation.judged_pairs import Winner
from wim.evaluation.labels.rows import Context, LabelRow
from wim.evaluation.styles import STYLES
from wim.prompts.transcripts import transcript_of
from wim.provenance.digest import row_id


class LeftOut(Exception):
    """A row that holds no pair; its text is the cause, by which rows are counted."""


@dataclass(frozen=True)
class Labelled:
    """A pair as a row has it.

    Attributes:
        context, first, second: The texts.
        better: The label; None where it is the majority of `votes`.
        votes: Labels by annotator.
        subset, group, styles: As in `LabelledPair`.
        merged: Whether rows of the same texts are votes on one pair; else they are pairs each.
    """

    context: Context
    first: str
    second: str
    better: Winner | None = None
    votes: tuple[tuple[str, Winner], ...] = ()
    subset: str = ""
    group: str = ""
    styles: tuple[str, str] = ("", "")
    merged: bool = False


Reader = Callable[[LabelRow], Iterator[Labelled]]


@dataclass(frozen=True)
class Form:
    """A form of rows.

    Attributes:
        keys: The keys that tell it from the others.
        expected: What a row is, in words.
        read: Of a row, its pairs. Raises UserError for a row of another form and LeftOut for one
            that the set itself has and that holds no pair.
    """

    keys: frozenset[str]
    expected: str
    read: Reader


def pandalm(row: LabelRow) -> Iterator[Labelled]:
    """PandaLM: three annotators, 0 for a tie; the compared models are the subset.

    Where all three differ the first one's vote counts, as in the published evaluation.
    """
    labels: Mapping[object, Winner] = {0: "tie", 1: "a", 2: "b"}
    names = sorted(key for key in row.values if key.startswith("annotator"))
    votes = [row.winner(labels, row.values[name]) for name in names]
    yield Labelled(
        context=row.instruction_with_input(row.text("instruction"), row.optional("input")),
        first=row.text("response1"),
        second=row.text("response2"),
        better=Counter(votes).most_common(1)[0][0],
        votes=tuple(zip(names, votes, strict=True)),
        subset=row.name("cmp_key"),
    )


def judgebench(row: LabelRow) -> Iterator[Labelled]:
    """JudgeBench: one response is right; where the question is from is the subset."""
    yield Labelled(
        context=row.prompt("question"),
        first=row.text("response_A"),
        second=row.text("response_B"),
        better=row.winner({"A>B": "a", "B>A": "b"}, row.values.get("label")),
        subset=row.name("source"),
    )


def rewardbench(row: LabelRow) -> Iterator[Labelled]:
    """RewardBench and RewardBench 2: each chosen response with each rejected one."""
    chosen, rejected = row.texts("chosen"), row.texts("rejected")
    if not chosen or not rejected:
        row.refuse(f"has {len(chosen)} chosen and {len(rejected)} rejected responses")
    context = row.prompt("prompt")
    whole = row_id([list(context), chosen, rejected]) if len(chosen) + len(rejected) > 2 else ""
    for first, second in product(dict.fromkeys(chosen), dict.fromkeys(rejected)):
        yield Labelled(
            context, first, second, "a", subset=row.name("subset", "domain"), group=whole
        )


def rm_bench(row: LabelRow) -> Iterator[Labelled]:
    """RM-Bench: a chosen and a rejected response in three styles each; nine pairs."""
    chosen, rejected = row.texts("chosen"), row.texts("rejected")
    if not len(chosen) == len(rejected) == len(STYLES):
        row.refuse(f"has {len(chosen)} chosen and {len(rejected)} rejected responses")
    context = row.prompt("prompt")
    for (style, first), (other, second) in product(
        zip(STYLES, chosen, strict=True), zip(STYLES, rejected, strict=True)
    ):
        yield Labelled(
            context, first, second, "a", subset=row.name("domain"), styles=(style, other)
        )


def hh_rlhf(row: LabelRow) -> Iterator[Labelled]:
    """HH-RLHF: two transcripts of one conversation, whose last answers differ."""
    chosen, rejected = (transcript_of(row.text(key)) for key in ("chosen", "rejected"))
    if chosen is None or rejected is None:
        row.refuse("has no conversation of Human: and Assistant:")
    if chosen[1] is None or rejected[1] is None:
        raise LeftOut("a conversation does not end with an answer")
    if chosen[0] != rejected[0]:
        raise LeftOut("the conversations differ before the last answer")
    yield Labelled(tuple(chosen[0]), chosen[1], rejected[1], "a")


def auto_j(row: LabelRow) -> Iterator[Labelled]:
    """Auto-J: 0 for the first response, 1 for the second, 2 for a tie; scenarios are subsets."""
    yield Labelled(
        context=row.prompt("prompt"),
        first=row.text("response 1"),
        second=row.text("response 2"),
        better=row.winner({0: "a", 1: "b", 2: "tie"}, row.values.get("label")),
        subset=row.name("scenario"),
    )


def mt_bench(row: LabelRow) -> Iterator[Labelled]:
    """MT-Bench's votes on first answers: one in each row, by annotator.

    A second answer follows another first one in either conversation, so that the two have no
    context in common.
    """
    labels: Mapping[object, Winner] = {"model_a": "a", "model_b": "b", "tie": "tie"}
    winner = row.values.get("winner")
    vote = row.winner(labels, "tie" if winner == "tie (inconsistent)" else winner)
    if row.values.get("turn", 1) != 1:
        raise LeftOut("a vote on second answers, whose conversations differ before them")
    said = [row.values.get(key) for key in ("conversation_a", "conversation_b")]
    turns = [each[:2] if isinstance(each, list) else [] for each in said]
    if not all(len(each) == 2 for each in turns) or turns[0][0] != turns[1][0]:
        row.refuse("has no two conversations that begin with the same question")
    answers = [
        LabelRow(row.path, row.place, each[1] if isinstance(each[1], Mapping) else {}, row.expected)
        for each in turns
    ]
    question = LabelRow(row.path, row.place, {"question": turns[0][:1]}, row.expected)
    yield Labelled(
        context=question.conversation("question"),
        first=answers[0].text("content"),
        second=answers[1].text("content"),
        votes=((row.name("judge") or row.place, vote),),
        merged=True,
    )


FORMS: Mapping[str, Form] = {
    "pandalm": Form(
        frozenset({"instruction", "response1", "response2", "annotator1"}),
        "rows of {instruction, input, response1, response2, annotator1, ...}, where 1 and 2 are "
        "the better response and 0 is a tie",
        pandalm,
    ),
    "judgebench": Form(
        frozenset({"question", "response_A", "response_B"}),
        "rows of {question, response_A, response_B, label, source}, where label is A>B or B>A",
        judgebench,
    ),
    "rm_bench": Form(
        frozenset({"prompt", "chosen", "rejected", "domain"}),
        "rows of {prompt, chosen, rejected, domain} with three responses each, concise, detailed "
        "and in Markdown",
        rm_bench,
    ),
    "rewardbench": Form(
        frozenset({"prompt", "chosen", "rejected"}),
        "rows of {prompt, chosen, rejected, subset}, where chosen and rejected are a text or lists",
        rewardbench,
    ),
    "hh_rlhf": Form(
        frozenset({"chosen", "rejected"}),
        "rows of {chosen, rejected}, two conversations of Human: and Assistant:",
        hh_rlhf,
    ),
    "auto_j": Form(
        frozenset({"prompt", "response 1", "response 2"}),
        "rows of {prompt, response 1, response 2, label, scenario}, where label is 0 for the "
        "first, 1 for the second and 2 for a tie",
        auto_j,
    ),
    "mt_bench": Form(
        frozenset({"conversation_a", "conversation_b"}),
        "rows of {question_id, model_a, model_b, winner, judge, turn, conversation_a, "
        "conversation_b}, where winner is model_a, model_b or tie",
        mt_bench,
    ),
}
