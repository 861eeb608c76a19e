"""Topics that models propose: which are taken, which are not and why, and what stays when more are asked."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from support.workflow_runs import REPOSITORY
from wim.engines.answers import unanswered
from wim.engines.base import Completion, Request
from wim.errors import UserError
from wim.settings.load import load_config
from wim.settings.sampling import Sampling
from wim.settings.topics import TopicSettings
from wim.templates import read_templates
from wim.topics import BLOCK, choose_topics, read_topic

TEMPLATES = read_templates([REPOSITORY / "config/templates/create_topics/topic.jinja"])
WORDS = ["river", "stone", "bread", "music", "train", "cloud", "paper", "glass", "honey", "wheel"]
PLACES: dict[str, int] = {}


class Voice:
    """Proposes by number: every third one as an earlier one did, every fifth one too short."""

    def __init__(self, name: str = "one") -> None:
        self.name = name
        self.asked: list[int] = []
        self.seeds: set[int] = set()

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        for request in reversed(requests):
            number = int(request.key)
            self.asked.append(number)
            self.seeds.add(request.seed)
            yield Completion(request.key, self.say(number), "stop", 9, 9)

    def say(self, number: int) -> str:
        if number % 5 == 4:
            return "Short."
        first, second = divmod(number // 3 if number % 3 == 2 else number, len(WORDS))
        return f'"Why {WORDS[second]} is no {WORDS[first % 10]}, says {self.name}"'


def encode(texts: Sequence[str]) -> SimpleNamespace:
    """A vector for each distinct text, at right angles to all others."""
    places = [PLACES.setdefault(text, len(PLACES)) for text in texts]
    vectors = np.eye(1024, dtype=np.float32)[places]
    return SimpleNamespace(vectors=vectors, unknown=[0.0] * len(texts))


def chosen(number: int, engines: Sequence[Voice], **settings: object) -> list[str]:
    asked = TopicSettings.model_validate({"number": number, **settings})
    digests = [engine.name * 8 for engine in engines]
    topics, _ = choose_topics(engines, digests, encode, TEMPLATES, asked, seed=1)  # type: ignore[arg-type]
    return [topic.prompt for topic in topics]


def test_topics_are_distinct_of_the_length_asked_for_and_without_marks() -> None:
    found = chosen(20, [Voice()])
    assert len(set(found)) == len(found) == 20
    assert all(4 <= len(topic.split()) <= 12 and '"' not in topic for topic in found)


def test_raising_the_number_keeps_the_topics_that_were_there() -> None:
    many = chosen(60, [Voice()])
    assert len(many) == 60
    for fewer in (1, 20, 59):
        assert chosen(fewer, [Voice()]) == many[:fewer]


def test_models_propose_in_turn_each_proposal_with_its_own_seed() -> None:
    engines = [Voice("one"), Voice("two")]
    found = chosen(30, engines)
    assert {topic.rsplit(" ", 1)[1] for topic in found} == {"one", "two"}
    assert set(engines[0].asked) | set(engines[1].asked) == set(range(BLOCK))
    assert not set(engines[0].asked) & set(engines[1].asked)
    assert len(engines[0].seeds | engines[1].seeds) == BLOCK


def test_proposals_of_like_meaning_are_taken_once(minilm: Path) -> None:
    from wim.embedding.encoder import Encoder

    said = [
        "Why do ships float on water",
        "Why ships do float on the water",
        "How bees find their way home",
    ]
    voice = Voice()
    voice.say = lambda number: said[number % 3]  # type: ignore[method-assign]
    asked = TopicSettings(number=3, proposals=4)
    topics, left_out = choose_topics(
        [voice], ["d"], Encoder(minilm).encode, TEMPLATES, asked, seed=0
    )
    assert [topic.prompt for topic in topics] == [said[0], said[2]]
    assert left_out == {"like an earlier one": BLOCK - 2}


def test_proposals_that_the_encoder_cannot_compare_are_left_out_for_that_cause(
    minilm: Path,
) -> None:
    from wim.embedding.encoder import Encoder

    voice = Voice()
    said = ["🚢 🌊 🌊 🚢", "🐝 🌸 🏠 🐝"]
    voice.say = lambda number: said[number % 2]  # type: ignore[method-assign]
    asked = TopicSettings(number=2, proposals=4)
    topics, left_out = choose_topics(
        [voice], ["d"], Encoder(minilm).encode, TEMPLATES, asked, seed=0
    )
    assert topics == []
    assert left_out == {"unknown to the encoder": BLOCK}


def test_proposals_are_bounded() -> None:
    voice = Voice()
    voice.say = lambda number: "The same topic every time"  # type: ignore[method-assign]
    assert chosen(40, [voice], proposals=4) == ["The same topic every time"]
    assert len(voice.asked) == 3 * BLOCK


@pytest.mark.parametrize(
    ("text", "finish", "topic", "cause"),
    [
        ("  *The long way to the sea*\n\nThis topic is", "length", "The long way to the sea", None),
        ("1. Topic: How rain is made", "stop", "How rain is made", None),
        ("The title is: “How rain is made”", "stop", "How rain is made", None),
        ("10 reasons to walk", "stop", "10 reasons to walk", None),
        ("How rain is made and", "length", "How rain is made and", "cut off"),
        ("Rain", "stop", "Rain", "too short"),
        (" ".join("abcdefghijklm"), "stop", " ".join("abcdefghijklm"), "too long"),
        ("", "stop", "", "too short"),
        ("", "context", "", "without an answer"),
    ],
)
def test_an_answer_is_read_as_a_topic_or_left_out_for_a_cause(text, finish, topic, cause) -> None:
    answer = Completion("0", text, finish, 1, 1)
    assert read_topic(answer, TopicSettings(number=1)) == (topic, cause)


def test_a_server_without_an_answer_is_a_cause() -> None:
    assert (
        read_topic(unanswered("0", "it hangs"), TopicSettings(number=1))[1] == "without an answer"
    )


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ({"topics": {"number": 5}}, ["prompts", "files: []"]),
        ({"files": []}, ["prompts", "no files and no topics"]),
        ({"files": [], "topics": {}}, ["prompts.topics.number", "missing"]),
        ({"files": [], "topics": {"number": 5, "models": ["x"]}}, ["prompts.topics.models", "'x'"]),
        ({"files": [], "topics": {"number": 5, "min_words": 13}}, ["min_words (13) is above"]),
        (
            {"files": [], "topics": {"number": 5, "sampling": {"temperature": 0}}},
            ["at temperature 0", "prompts.topics"],
        ),
        ({"files": [], "column": "text", "topics": {"number": 5}}, ["column prompt"]),
    ],
)
def test_settings_that_do_not_fit_are_refused(prompts, words) -> None:
    with pytest.raises(UserError) as refused:
        load_config({"prompts": prompts})
    for word in words:
        assert word in str(refused.value)


def test_sampling_of_topics_has_defaults_of_its_own() -> None:
    topics = load_config(
        {"prompts": {"files": [], "topics": {"number": 5, "sampling": {"top_p": 0.9}}}}
    ).prompts.topics
    assert topics is not None
    assert topics.sampling == Sampling(max_new_tokens=32, temperature=1.0, top_p=0.9)
