"""Sentences that name a lack, in the words of judges in several languages."""

import pytest

from wim.critiques.lack_share import lack_share, names_a_lack, sentences

NAMING = (
    "However, it lacks a concrete example.",
    "The response fails to mention the second step.",
    "It could have been improved by naming a source.",
    "A bit more depth would have been helpful.",
    "The second claim is incorrect.",
    "The answer does not address the question about costs.",
    "The explanation is vague in places.",
    "The only minor improvement could be to mention the risks.",
    "It provides no evidence for its claim.",
    "Der Antwort fehlt ein Beispiel.",
    "La réponse ne mentionne pas la date.",
    "A la respuesta le falta un ejemplo.",
    "回答缺少具体的例子。",
)
NAMING_NONE = (
    "The response is clear, complete and well organised.",
    "It does not contain any errors.",
    "There are no significant inaccuracies in it.",
    "It not only lists the steps but also explains each of them.",
    "Nothing important is missing.",
    "The answer explains what if the Black Death had not occurred.",
    'It names signs such as "lack of engagement" and "vague statements" and explains them.',
    "It correctly identifies the errors in the code.",
    "The tone is neither overly formal nor too casual.",
    "The response leaves no room for doubt.",
    "Die Antwort ist vollständig und klar.",
    "回答清楚而完整。",
)


@pytest.mark.parametrize("sentence", NAMING)
def test_a_lack_is_known(sentence: str) -> None:
    assert names_a_lack(next(sentences(sentence)))


@pytest.mark.parametrize("sentence", NAMING_NONE)
def test_praise_is_no_lack_even_where_it_sounds_like_one(sentence: str) -> None:
    assert not names_a_lack(next(sentences(sentence)))


def test_the_share_is_of_sentences_and_lines_with_a_letter() -> None:
    critique = "**Clear** answer.\n- It lacks a date.\n- 42.\n- It is wrong about the place."
    assert lack_share(critique) == pytest.approx(2 / 3)
    assert lack_share("Well done.") == 0.0
    assert lack_share("...") == 0.0
