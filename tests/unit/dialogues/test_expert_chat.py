"""Dialogues of two speakers: who sees what, and what is learnt from."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from support.builders import prompt, rating, user
from support.workflow_runs import REPOSITORY
from wim.dialogues.candidates import ACTOR, PARTNER
from wim.dialogues.conversations import read_judged, whole_conversations
from wim.dialogues.expert_chat import Dialogue, Speaker, hold_dialogues
from wim.embedding import embed as embeddings
from wim.embedding.encoder import Encoded
from wim.engines.base import Completion, Request
from wim.engines.local.engine import LocalEngine
from wim.errors import UserError
from wim.pairs.by_reward import shard_pairs
from wim.settings.dialogues import DialogueSettings
from wim.settings.load import load_config
from wim.settings.pairs import PairSettings
from wim.settings.sampling import Sampling
from wim.tables.files import as_arrow, read_candidates, write_table
from wim.tables.schemas import DIALOGUES, RATINGS, Candidate, Prompt
from wim.templates import Templates, read_templates

SAMPLING = Sampling(max_new_tokens=12, temperature=1.0)
TOPICS = [prompt(f"{number:032d}", messages=user(f"The number {number}.")) for number in range(12)]


@pytest.fixture(scope="module")
def templates() -> Templates:
    folder = REPOSITORY / "config/templates/expert_chat"
    return read_templates(sorted(folder.glob("*.jinja")))


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> LocalEngine:
    return LocalEngine(tiny_model, "float32")


def talk(
    engine: LocalEngine, templates: Templates, topics: Sequence[Prompt] = TOPICS, **settings: object
) -> list[Candidate]:
    chat = DialogueSettings.model_validate(
        {"mode": "expert_chat", "sampling": SAMPLING.model_dump(), "candidates": 3, **settings}
    )
    speakers = [Speaker(ACTOR, engine, "a" * 64), Speaker(PARTNER, engine, "b" * 64)]
    return list(hold_dialogues(topics, speakers, templates, chat, seed=0))


@pytest.fixture(scope="module")
def rows(tiny: LocalEngine, templates: Templates) -> list[Candidate]:
    return talk(tiny, templates)


def test_each_sees_its_own_turns_as_assistant_and_the_others_as_user(templates: Templates) -> None:
    dialogue = Dialogue(TOPICS[3], "d", opener=PARTNER, said=["Why?", "So.", "And?"])
    seen = dialogue.seen_by(ACTOR, templates)
    assert "The number 3." in seen[0]["content"]
    assert [(each["role"], each["content"]) for each in seen[1:]] == [
        ("user", "Why?"),
        ("assistant", "So."),
        ("user", "And?"),
    ]
    opener = dialogue.seen_by(PARTNER, templates)
    assert [each["role"] for each in opener] == ["system", "user", "assistant", "user", "assistant"]
    assert "The number 3." in opener[1]["content"]


def test_samples_of_a_turn_share_their_context_which_ends_with_the_other(
    rows: list[Candidate],
) -> None:
    turns: dict[tuple[str, int], list[Candidate]] = {}
    for row in rows:
        turns.setdefault((row.dialogue_id, row.turn), []).append(row)
    assert sum(turn == 4 for _, turn in turns) >= len(TOPICS) / 2
    for (dialogue, turn), samples in turns.items():
        assert len(samples) == (3 if samples[0].speaker == ACTOR else 1)
        assert all(row.context == samples[0].context for row in samples)
        assert all(row.judged == (row.speaker == ACTOR) for row in samples)
        assert samples[0].context[-1]["role"] == "user"
        if turn > 1:
            before = [row for row in turns[dialogue, turn - 1] if row.continued]
            assert [row.completion for row in before] == [samples[0].context[-1]["content"]]
            assert before[0].speaker != samples[0].speaker
    assert not any(row.continued for row in rows if row.turn == 4)


def test_both_open_and_the_sample_that_goes_on_is_drawn(rows: list[Candidate]) -> None:
    assert {row.speaker for row in rows if row.turn == 1} == {ACTOR, PARTNER}
    assert len({row.sample for row in rows if row.continued and row.speaker == ACTOR}) == 3


def test_a_dialogue_depends_on_its_topic_alone(
    rows: list[Candidate], tiny: LocalEngine, templates: Templates
) -> None:
    some = talk(tiny, templates, topics=TOPICS[7:3:-1])
    expected = {
        row.candidate_id: row for row in rows if row.prompt_id in {t.prompt_id for t in TOPICS[4:8]}
    }
    assert {row.candidate_id: row for row in some} == expected


def test_both_can_be_learnt_from(tiny: LocalEngine, templates: Templates) -> None:
    rows = talk(tiny, templates, topics=TOPICS[:2], learn="both", exchanges=1)
    assert len(rows) == 2 * 2 * 3 and all(row.judged for row in rows)


@pytest.fixture(scope="module")
def parted(tiny: LocalEngine, templates: Templates) -> list[Candidate]:
    return talk(tiny, templates, judged="conversations")


def test_whole_conversations_share_all_up_to_the_actors_first_turn(
    parted: list[Candidate],
) -> None:
    for topic in TOPICS:
        own = [row for row in parted if row.prompt_id == topic.prompt_id]
        judged = [row for row in own if row.judged]
        if not judged:
            # The partner opened, and said nothing.
            assert [(row.speaker, row.completion) for row in own] == [(PARTNER, "")]
            continue
        assert [row.sample for row in judged] == [0, 1, 2]
        assert all(row.context == judged[0].context for row in judged)
        first = judged[0].turn
        assert first == (1 if own[0].speaker == ACTOR else 2)
        assert all(row.speaker == ACTOR for row in judged)
        for row in own:
            if row.turn <= first:
                continue
            # What its own conversation said before it, and nothing of the others.
            before = [
                each for each in own if (each.turn, each.sample) == (row.turn - 1, row.sample)
            ]
            assert row.context[-1]["content"] == before[0].completion
            assert before[0].continued


def test_a_judge_reads_what_came_of_each_candidate(parted: list[Candidate]) -> None:
    wholes = whole_conversations(parted)
    assert [row.candidate_id for row in wholes] == [
        row.candidate_id for row in parted if row.judged
    ]
    long = 0
    for whole in wholes:
        line = [row for row in parted if row.dialogue_id == whole.dialogue_id]
        line = [row for row in line if row.sample == whole.sample and row.turn >= whole.turn]
        line = sorted((row for row in line if row.completion), key=lambda row: row.turn)
        if not (said := [row.completion for row in line]):
            assert whole.completion == ""
            continue
        assert [each["content"] for each in whole.context[-len(said) :]] == said
        roles = ["assistant" if row.speaker == ACTOR else "user" for row in line]
        assert [each["role"] for each in whole.context[-len(said) :]] == roles
        own = [row.completion for row in line if row.speaker == ACTOR]
        assert whole.completion == "\n\n".join(own)
        long += len(own) == 2
    assert long >= len(wholes) / 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dialogues": {"judged": "conversations"}}, ["ignores judged", "mode: expert_chat"]),
        (
            {"dialogues": {"mode": "expert_chat", "judged": "conversations", "learn": "both"}},
            ["learn: actor"],
        ),
        (
            {
                "dialogues": {"mode": "expert_chat", "judged": "conversations"},
                "judges": {
                    "smollm2": {
                        "model": "smollm2",
                        "method": "upstream",
                        "sampling": {"max_new_tokens": 256},
                    }
                },
            },
            ["judges.smollm2.method", "'upstream'", "judged: turns"],
        ),
    ],
)
def test_what_whole_conversations_cannot_be_is_refused(settings, words) -> None:
    with pytest.raises(UserError) as refused:
        load_config(settings)
    for word in words:
        assert word in str(refused.value)


def test_judging_turns_is_told_to_no_rule() -> None:
    chat = DialogueSettings(mode="expert_chat")
    assert "judged" not in chat.identity() and "judged" not in DialogueSettings().identity()


class Speaking:
    """An engine that says something else to each request."""

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        for request in requests:
            yield Completion(request.key, f"Said by {request.seed}.", "stop", 9, 9)


def test_all_that_the_actor_said_is_embedded_and_its_first_turns_are_paired(
    templates: Templates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = talk(Speaking(), templates, judged="conversations")  # type: ignore[arg-type]
    dialogues, ratings = tmp_path / "dialogues.parquet", tmp_path / "ratings.parquet"
    write_table(dialogues, DIALOGUES, as_arrow(DIALOGUES, rows))
    wholes = read_judged(dialogues, conversations=True)
    rated = [rating(row.candidate_id, wim="A date.") for row in wholes]
    write_table(ratings, RATINGS, as_arrow(RATINGS, rated))
    encoded: list[str] = []

    def encode(texts: Sequence[str]) -> Encoded:
        encoded.extend(texts)
        count = len(texts)
        return Encoded(np.ones((count, 4), np.float32) / 2, [False] * count, [0.0] * count)

    monkeypatch.setattr(embeddings, "Encoder", lambda *_: SimpleNamespace(encode=encode))
    monkeypatch.setattr(
        "wim.models.manifest.read_manifest", lambda _: SimpleNamespace(digest="e" * 64)
    )
    monkeypatch.setattr("wim.models.opening.opened_folder", lambda manifest, _: manifest.parent)
    embeddings.embed_critiques(
        dialogues,
        ratings,
        tmp_path / "manifest.json",
        "j",
        tmp_path / "embed_critiques",
        tmp_path / "embeddings.parquet",
        conversations=True,
    )
    assert set(encoded) == {row.completion for row in wholes} | {"A date."}
    assert all(len(row.completion.split("\n\n")) == 2 for row in wholes)
    table = read_candidates(dialogues)
    rewards = {row.candidate_id: float(place) for place, row in enumerate(wholes)}
    found = shard_pairs(table, rewards, PairSettings(), 0, Counter())
    # One context for each topic, of which the best and the worst are taken.
    assert len(found) == len(TOPICS)


class Silent:
    """An engine that has nothing to say, and at length."""

    def __init__(self, finish_reason: str) -> None:
        self.finish_reason = finish_reason

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        for request in requests:
            yield Completion(request.key, "", self.finish_reason, 0, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("finish_reason", "turns"), [("stop", {1}), ("context", set())])
def test_a_dialogue_ends_where_nothing_is_said(
    templates: Templates, finish_reason: str, turns: set[int]
) -> None:
    rows = talk(Silent(finish_reason), templates)  # type: ignore[arg-type]
    assert {row.turn for row in rows} == turns
    assert not any(row.continued for row in rows)
