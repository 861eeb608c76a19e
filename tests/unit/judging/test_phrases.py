"""What judges say in twelve languages: that nothing is missing, what is, or that they refuse."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from wim.errors import UserError
from wim.judging import phrases
from wim.judging.phrases.load import shipped
from wim.judging.phrases.match import KnownPhrases
from wim.settings.judging import JudgeSettings, PhraseSettings
from wim.settings.load import load_config

CASES = yaml.safe_load((Path(__file__).parent / "phrase_cases.yaml").read_text("utf-8"))
PHRASES = KnownPhrases("Nothing is missing")
FOLDER = Path(phrases.__file__).parent
KINDS = {
    *("alone", "labels", "openers", "nothing_missing", "exceptions", "turns", "lacks"),
    *("apologies", "joins", "unable", "refusals", "reasons"),
}


def cases() -> Iterator[object]:
    for language, by_meaning in CASES.items():
        for meaning, lines in by_meaning.items():
            for line in lines.splitlines():
                text = line.replace("\\n", "\n")
                yield pytest.param(text, meaning, id=f"{language}: {line}")


def meaning_of(text: str, phrases: KnownPhrases = PHRASES) -> str:
    if phrases.say_nothing_is_missing(text):
        return "nothing_missing"
    return "refusal" if phrases.refuse(text) else "critique"


@pytest.mark.parametrize(("text", "meaning"), list(cases()))
def test_a_judges_words_are_read_for_what_they_mean(text, meaning) -> None:
    assert meaning_of(text) == meaning


def test_the_ten_most_spoken_languages_of_such_data_are_known() -> None:
    most_spoken = {"english", "chinese", "spanish", "french", "german", "portuguese"}
    most_spoken |= {"russian", "japanese", "arabic", "hindi"}
    assert most_spoken <= set(shipped()) == set(CASES)


@pytest.mark.parametrize("language", sorted(CASES))
def test_every_language_has_the_same_kinds_of_phrases_and_uses_its_parts(language) -> None:
    content = yaml.safe_load((FOLDER / f"{language}.yaml").read_text("utf-8"))
    assert set(content) - {"parts", "spaced"} == KINDS
    lines = [content[kind] for kind in KINDS]
    for part in content["parts"]:
        assert any(f"<{part}>" in text for text in [*lines, *content["parts"].values()]), part


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Mitään ei puutu.", "nothing_missing"),
        ("- MITÄÄN  ei puutu\nvastauksesta", "nothing_missing"),
        ("Mitään ei puutu paitsi päivämäärä.", "critique"),
        ("Mitään ei puutu. However, a date would help.", "critique"),
        ("Mitään ei puutukaan.", "critique"),
        ("En voi auttaa tässä.", "refusal"),
        ("Nothing is missing paitsi päivämäärä.", "critique"),
        ("Nothing is missing.", "nothing_missing"),
        ("ขาดอะไรไหม", "critique"),
        ("ไม่มีอะไรขาดหาย", "nothing_missing"),
        ("ไม่มีอะไรขาดหาย ยกเว้นวันที่", "critique"),
    ],
)
def test_phrases_of_the_settings_are_known_beside_the_shipped_ones(text, meaning) -> None:
    own = PhraseSettings(
        nothing_missing=["Mitään ei puutu", "ไม่มีอะไรขาดหาย"],
        exceptions=["paitsi", "ยกเว้น"],
        refusals=["En voi auttaa"],
    )
    assert meaning_of(text, KnownPhrases("Nothing is missing", own)) == meaning


def test_a_claim_of_the_settings_may_be_taken_back_in_any_language() -> None:
    phrases = KnownPhrases("Alles da")
    assert meaning_of("Alles da.", phrases) == "nothing_missing"
    assert meaning_of("Alles da, außer dem Datum.", phrases) == "critique"
    assert meaning_of("Alles da. 但是缺少日期。", phrases) == "critique"


@pytest.mark.parametrize("phrase", ["", " ", "...", "?!"])
def test_a_phrase_without_letters_is_refused(phrase) -> None:
    with pytest.raises(UserError, match=r"judges\.smollm2\.phrases\.refusals.* has no letter"):
        load_config(
            {"judges": {"smollm2": {"model": "smollm2", "phrases": {"refusals": [phrase]}}}}
        )


def test_phrases_belong_to_a_judge_only_where_there_are_any() -> None:
    plain, more = (
        JudgeSettings(model="m", phrases=PhraseSettings(refusals=refusals))
        for refusals in ([], ["En voi"])
    )
    assert "phrases" not in plain.identity()
    assert more.identity()["phrases"]["refusals"] == ["En voi"]
    assert JudgeSettings.model_validate(more.identity()) == more


def test_a_judge_that_repeats_itself_without_end_is_read() -> None:
    assert meaning_of("None. " * 2000) == "nothing_missing"
    assert meaning_of("None. " * 2000 + "The date is missing.") == "critique"


def test_a_refusal_that_never_ends_its_sentence_is_read() -> None:
    assert meaning_of("I cannot rate this, " + "which is as it is for all, " * 1000) == "refusal"
