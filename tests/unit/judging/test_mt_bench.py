"""The judge of answers to questions of several turns."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from support.builders import candidate
from support.workflow_runs import REPOSITORY
from wim.engines.answers import unanswered
from wim.engines.base import Completion, Request
from wim.judging.mt_bench import MtBenchJudge, answer_pairs
from wim.prompts.questions import Question
from wim.settings.judging import JudgeSettings
from wim.settings.sampling import Sampling
from wim.tables.files import as_arrow
from wim.tables.schemas import COMPARISONS, RATINGS, Candidate
from wim.templates import read_templates

NAMES = ("single", "single_conversation", "pair", "pair_conversation")
TEMPLATES = read_templates([REPOSITORY / f"config/templates/mt_bench/{n}.jinja" for n in NAMES])
SETTINGS = JudgeSettings(model="m", method="mt_bench", sampling=Sampling(max_new_tokens=256))
QUESTIONS = {
    "p": Question(question_id="1", category="math", turns=("Q1?", "Q2?"), reference=("R1", "R2")),
    "q": Question(question_id="2", category="stem", turns=("Why?", "How?")),
    "r": Question(question_id="3", category="math", turns=("X?", "Y?"), reference=("RX", "")),
}


def judge(answer: Callable[[str], Completion]) -> tuple[MtBenchJudge, list[str]]:
    """A judge that answers by the text that it is shown, and the texts that it was shown."""
    asked: list[str] = []

    class Engine:
        def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
            for request in requests:
                asked.append(request.messages[-1]["content"])
                said = answer(asked[-1])
                yield type(said)(**{**vars(said), "key": request.key})

    return MtBenchJudge("j", Engine(), TEMPLATES, SETTINGS, 0, "d", QUESTIONS), asked  # type: ignore[arg-type]


def says(text: str, finish: str = "stop") -> Completion:
    return Completion("", text, finish, 1, 1)  # type: ignore[arg-type]


def turn(prompt: str, number: int, *answers: str, name: str = "c") -> Candidate:
    said = list(zip(QUESTIONS[prompt].turns, answers, strict=False))
    context = [
        message
        for question, answer in said[:-1]
        for message in (
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        )
    ]
    context.append({"role": "user", "content": QUESTIONS[prompt].turns[number - 1]})
    return candidate(
        f"{name}-{prompt}-{number}",
        prompt_id=prompt,
        turn=number,
        context=context,
        completion=answers[-1],
    )


def test_the_first_turn_shows_question_and_answer_and_a_reference_where_there_is_one() -> None:
    graded, asked = judge(lambda text: says("Rating: [[7.5]]"))
    rows = graded.rate([turn("p", 1, "A1"), turn("q", 1, "B1"), turn("r", 1, "C1")])
    assert [(row.status, row.rating, row.rating_expected) for row in rows] == [("ok", 8, 7.5)] * 3
    assert [text in asked[0] for text in ("Q1?", "A1", "R1", "Q2?", "R2")] == [True] * 3 + [
        False
    ] * 2
    assert "[reference answer]\nR1" in asked[0]
    assert "reference" not in asked[1]
    assert "RX" in asked[2]
    assert as_arrow(RATINGS, rows).num_rows == 3


def test_a_later_turn_shows_the_whole_conversation_and_references_if_all_turns_have_one() -> None:
    graded, asked = judge(lambda text: says("Rating: [[7]]"))
    graded.rate([turn("p", 2, "A1", "A2"), turn("q", 2, "B1", "B2"), turn("r", 2, "C1", "C2")])
    places = [asked[0].index(text) for text in ("R1", "R2", "A1", "A2")]
    assert places == sorted(places)
    assert asked[0].count("Q1?") == asked[0].count("Q2?") == 2
    assert "reference" not in asked[1]
    assert asked[1].index("B1") < asked[1].index("How?") < asked[1].index("B2")
    assert "RX" not in asked[2]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (says("It is fine."), "unparsable"),
        (says("It is", "length"), "truncated"),
        (says("I cannot help with that."), "refused"),
        (says("Rating: [[11]]"), "unparsable"),
        (says("", "context"), "error"),
        (unanswered("", "server down"), "error"),
    ],
)
def test_a_judgement_that_failed_has_a_status_and_no_number(said, status) -> None:
    graded, _ = judge(lambda text: said)
    (row,) = graded.rate([turn("q", 1, "B1")])
    assert (row.status, row.rating, row.rating_expected) == (status, None, None)
    compared, _ = judge(lambda text: said)
    (pair,) = compared.compare(
        list(answer_pairs([turn("q", 1, "A")], [turn("q", 1, "B", name="d")]))
    )
    assert (pair.status, pair.winner, pair.preference_a) == (status, None, None)


@pytest.mark.parametrize(
    ("says_a_first", "says_b_first", "winner", "preference"),
    [
        ("[[A]]", "[[B]]", "a", 1.0),
        ("[[B]]", "[[A]]", "b", 0.0),
        ("[[A]]", "[[A]]", "tie", 0.5),
        ("[[C]]", "[[C]]", "tie", 0.5),
        ("[[A]]", "[[C]]", "tie", 0.75),
    ],
)
def test_a_pair_is_shown_in_both_orders_and_what_they_disagree_on_is_a_tie(
    says_a_first, says_b_first, winner, preference
) -> None:
    compared, asked = judge(
        lambda text: says(
            says_a_first if text.index("mine") < text.index("theirs") else says_b_first
        )
    )
    pairs = answer_pairs([turn("p", 2, "A1", "mine")], [turn("p", 2, "B1", "theirs", name="d")])
    (row,) = compared.compare(list(pairs))
    assert (row.winner, row.preference_a, row.status) == (winner, preference, "ok")
    assert (row.raw_a_shown_first, row.raw_b_shown_first) == (says_a_first, says_b_first)
    assert (row.a_id, row.b_id) == ("c-p-2", "d-p-2")
    for text in asked:
        assert [part in text for part in ("A1", "B1", "R1", "R2")] == [True] * 4
    assert as_arrow(COMPARISONS, [row]).num_rows == 1


def test_one_order_that_failed_leaves_no_winner_and_its_cause() -> None:
    compared, _ = judge(lambda text: says("[[A]]" if "mine" in text.split("B's")[0] else "Hm."))
    pairs = answer_pairs([turn("q", 1, "mine")], [turn("q", 1, "theirs", name="d")])
    (row,) = compared.compare(list(pairs))
    assert (row.winner, row.status) == (None, "unparsable")


def test_only_turns_of_both_that_differ_in_what_was_said_so_far_are_pairs() -> None:
    a = [turn("p", 1, "same"), turn("p", 2, "same", "x"), turn("q", 1, "y"), turn("r", 1, "z")]
    b = [
        turn("p", 1, "same", name="d"),
        turn("p", 2, "same", "w", name="d"),
        turn("q", 1, "y", name="d"),
        turn("q", 2, "y", "v", name="d"),
    ]
    assert [pair.a.candidate_id for pair in answer_pairs(a, b)] == ["c-p-2"]
