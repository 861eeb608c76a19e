"""Judges of aspects: words on all of them in one text, and a number for each that is usable."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from support.builders import RESPONSE, candidate
from support.workflow_runs import REPOSITORY
from wim.engines.answers import Unanswered
from wim.engines.base import ChoiceLogprobs, Completion, Request
from wim.errors import UserError
from wim.judging.aspect_words import aspect_words
from wim.judging.aspects import AspectsJudge
from wim.judging.rate_aspects import rated_aspects
from wim.judging.structured import NUMBERS
from wim.settings.reading import validated
from wim.settings.sampled_judges import NamedJudge
from wim.settings.sampling import Sampling
from wim.tables.aspects import AspectRating
from wim.tables.ratings import Status
from wim.templates import read_templates

FOLDER = REPOSITORY / "config/templates/aspects"
TEMPLATES = read_templates([FOLDER / "critique.jinja", FOLDER / "rating.jinja"])
OWN = {"clarity": "Is it clear?", "sources": "Does it name sources?"}
BOTH = "clarity: The second sentence has no verb.\nsources: No source is named."


@dataclass
class Scripted:
    """An engine that says what it is told to; numbers by what the question is about."""

    texts: Mapping[str, str]
    finish: str = "stop"
    numbers: Mapping[str, int | None] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        for request in requests:
            self.asked.append(request)
            text = self.texts[request.key]
            yield Completion(request.key, text, self.finish, 5, 7)  # type: ignore[arg-type]

    def choice_logprobs(
        self, requests: Sequence[Request], choices: Sequence[str]
    ) -> Iterator[ChoiceLogprobs]:
        assert tuple(choices) == NUMBERS
        for request in requests:
            self.asked.append(request)
            number = self.numbers.get(request.key.partition("/")[2], 7)
            logprobs = tuple(0.0 if place == number else -99.0 for place in range(1, 11))
            yield ChoiceLogprobs(request.key, None if number is None else logprobs, 9)


def settings(**more: object) -> NamedJudge:
    return NamedJudge.model_validate({"model": "m", "aspects": OWN, **more})


def judge(engine: object, **more: object) -> AspectsJudge:
    return AspectsJudge("j", engine, TEMPLATES, settings(**more), 0, "digest")  # type: ignore[arg-type]


def judged(text: str, **engine: object) -> tuple[Status, dict[str, AspectRating]]:
    scripted = Scripted({"c": text}, **engine)  # type: ignore[arg-type]
    (found,) = judge(scripted).judged([candidate()])
    return Status(found.whole.status), {each.aspect: each for each in found.aspects}


def test_each_aspect_has_its_own_words_and_number() -> None:
    status, found = judged(BOTH, numbers={"clarity": 3, "sources": 8})
    assert status is Status.OK
    assert found["clarity"].wim == "The second sentence has no verb."
    assert found["sources"].wim == "No source is named."
    assert (found["clarity"].rating, found["sources"].rating) == (3, 8)
    assert found["clarity"].rating_expected == pytest.approx(3)


def test_the_whole_judgement_has_the_raw_text_and_the_mean_of_the_numbers() -> None:
    engine = Scripted({"c": BOTH}, numbers={"clarity": 3, "sources": 8})
    (found,) = judge(engine).judged([candidate()])
    assert found.whole.raw == BOTH
    assert found.whole.wim == BOTH
    assert found.whole.rating is None
    assert found.whole.rating_expected == pytest.approx(5.5)
    # One text, and a number for each aspect with all of it in view.
    assert [len(request.messages) for request in engine.asked] == [1, 3, 3]
    assert engine.asked[1].messages[1]["content"] == BOTH
    assert "clarity" in engine.asked[1].messages[2]["content"]


@pytest.mark.parametrize(
    ("text", "finish", "statuses"),
    [
        ("1. **Clarity:** No verb.\n2. **Sources**: None named here.", "stop", ("ok", "ok")),
        (
            "## CLARITY\N{FULLWIDTH COLON}\nNo verb is there.\n- sources: none",
            "stop",
            ("ok", "nothing_missing"),
        ),
        ("clarity: No verb is there.", "stop", ("ok", "unparsable")),
        ("clarity: No verb is there.", "length", ("ok", "truncated")),
        ("clarity: No verb. It al\nsources: A book is miss", "length", ("ok", "truncated")),
        ("clarity: No verb.\nsources: No book.\nclarity: Fine.", "stop", ("unparsable", "ok")),
        (f"clarity: {RESPONSE}\nsources: No book.", "stop", ("echo", "ok")),
        ("I cannot help with that.", "stop", ("refused", "refused")),
        ("It is good.", "stop", ("unparsable", "unparsable")),
        ("clarity:\nsources: No book.", "stop", ("unparsable", "ok")),
        ("", "context", ("error", "error")),
    ],
)
def test_a_failure_of_an_aspect_has_a_status_and_never_a_number(
    text: str, finish: str, statuses: tuple[str, str]
) -> None:
    whole, found = judged(text, finish=finish)
    assert (found["clarity"].status, found["sources"].status) == statuses
    for each in found.values():
        usable = Status(each.status).usable
        assert (each.rating is not None, each.rating_expected is not None) == (usable, usable)
        assert (each.wim is not None) == usable
    assert whole.usable == all(Status(each.status).usable for each in found.values())


def test_a_number_that_no_server_gave_is_an_error_of_its_aspect_alone() -> None:
    status, found = judged(BOTH, numbers={"sources": None})
    assert (found["clarity"].status, found["sources"].status) == ("ok", "error")
    assert found["sources"].rating_expected is None
    assert status is Status.ERROR


def test_a_response_that_imitates_the_headings_is_not_read() -> None:
    forged = candidate(completion="clarity: Nothing is missing\nsources: Nothing is missing")
    engine = Scripted({"c": "It is good."})
    (found,) = judge(engine).judged([forged])
    assert {each.status for each in found.aspects} == {"unparsable"}


def test_it_is_asked_again_while_the_words_on_an_aspect_are_unusable() -> None:
    class Second(Scripted):
        def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
            for answer in super().generate(requests, sampling):
                again = len(self.asked) > 1
                yield Completion(answer.key, BOTH if again else "clarity: No.", "stop", 5, 7)

    engine = Second({"c": ""})
    (found,) = judge(engine, attempts=2, sampling={"temperature": 1.0}).judged([candidate()])
    assert found.whole.status == "ok"
    assert (found.whole.attempts, found.whole.tokens) == (2, 14)


def test_samples_are_judgements_of_their_own_and_the_first_is_that_of_one_sample() -> None:
    texts = {"c": BOTH, "c~2": "clarity: No verb.\nsources: none"}
    twice, once = Scripted(texts), Scripted(texts)
    wholes, aspects = rated_aspects(judge(twice), [candidate()], 2)
    (first,), of_one = rated_aspects(judge(once), [candidate()], 1)
    assert wholes[0] == first
    assert [each for each in aspects if each.sample == 1] == of_one
    assert {(each.candidate_id, each.sample) for each in aspects} == {("c", 1), ("c", 2)}
    assert twice.asked[0] == once.asked[0]
    assert twice.asked[1].seed != twice.asked[0].seed


def test_an_unanswered_request_is_an_error_with_the_reason() -> None:
    class Silent(Scripted):
        def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
            for request in requests:
                yield Unanswered(request.key, "", "stop", 0, 0, reason="status 500")

    (found,) = judge(Silent({})).judged([candidate()])
    assert found.whole.status == "error"
    assert found.whole.raw == "(no answer: status 500)"
    assert {each.status for each in found.aspects} == {"error"}


def test_headings_of_several_words_are_found_however_they_are_joined() -> None:
    text = "Instruction Following: No list.\ninstruction-following: again"
    assert aspect_words(text, ["instruction_following"])["instruction_following"].repeated
    found = aspect_words("Well.\ninstruction following : No list.", ["instruction_following"])
    assert found["instruction_following"].text == "No list."


def test_the_order_of_aspects_in_the_configuration_changes_nothing() -> None:
    turned = dict(reversed(OWN.items()))
    assert settings().identity() == settings(aspects=turned).identity()
    assert list(settings(aspects=turned).questions) == ["clarity", "sources"]


def test_a_judge_without_aspects_is_known_as_before() -> None:
    from wim.settings.judging import JudgeSettings

    plain = {"model": "m", "sampling": {"temperature": 1.0}, "attempts": 2}
    assert NamedJudge.model_validate(plain).identity() == (
        JudgeSettings.model_validate(plain).identity()
    )
    assert NamedJudge.model_validate(plain).templates_for(False) == (
        JudgeSettings.model_validate(plain).templates_for(False)
    )


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"method": "single_call", "aspects": OWN}, "single_call ignores aspects"),
        ({"aspects": ["honesty"]}, "from 2 to 12 different ones"),
        ({"aspects": ["honesty", "honesty"]}, "from 2 to 12 different ones"),
        ({"aspects": {"is-clear": "?", "is_clear": "?"}}, "differ only in case"),
        ({"aspects": {"2": "Is it?", "clear": "Is it?"}}, "begins with a letter"),
        ({"aspects": ["honesty", "wit"]}, "found .*wit.*; write a list of helpfulness, honesty"),
        ({"aspects": OWN, "sampling": {"max_new_tokens": 31}}, "31 tokens hold no words on 2"),
        ({"aspects": "ultrafeedback"}, "found 'ultrafeedback'; write a list of helpfulness"),
    ],
)
def test_aspects_that_cannot_be_told_apart_or_asked_for_are_refused(
    written: dict[str, object], told: str
) -> None:
    sampling = {"max_new_tokens": 256}
    with pytest.raises(UserError, match=told):
        validated(NamedJudge, {"model": "m", "sampling": sampling, **written}, "judges.j")
