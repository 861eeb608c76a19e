"""Dialogues of two speakers: who sees what, what is learnt from, and what comes out of a run."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest
from workflow_runs import REPOSITORY, Project, rows_computed

from wim.engines.base import Completion, Request
from wim.engines.local import LocalEngine
from wim.expert_chat import ACTOR, PARTNER, Dialogue, Speaker, hold_dialogues
from wim.settings.dialogues import DialogueSettings
from wim.settings.sampling import Sampling
from wim.tables import Candidate, Prompt
from wim.templates import Templates, read_templates

SAMPLING = Sampling(max_new_tokens=12, temperature=1.0)
TOPICS = [
    Prompt(f"{number:032d}", [{"role": "user", "content": f"The number {number}."}], "train", "t")
    for number in range(12)
]


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


def test_a_run_ends_in_a_checkpoint_learnt_from_the_actors_turns_and_repeats_from_the_store(
    tmp_path: Path, tiny_model: Path, minilm: Path
) -> None:
    drawn = {"max_new_tokens": 24, "temperature": 1.0}
    config: dict[str, object] = {
        "models": {
            "tiny": {"source": f"path:{tiny_model}", "dtype": "float32"},
            "encoder": {"source": f"path:{minilm}"},
        },
        "prompts": {"files": ["prompts.jsonl"], "shards": 2, "eval_fraction": 0.0},
        "dialogues": {"mode": "expert_chat", "actor": "tiny", "sampling": drawn},
        "judges": {"tiny": {"model": "tiny", "sampling": drawn}},
        "embeddings": {"encoder": "encoder"},
        "rewards": {"wim": {"judge": "tiny", "zeta": 0.5, "rating": "rating_expected"}},
        "arms": {"wim": {"reward": "wim", "training": {"batch_size": 4}}},
    }
    topics = [f"The number {number} in history." for number in range(8)]
    project = Project.copied(tmp_path / "project", config, topics)
    first = rows_computed(project.run("--", "dpo_checkpoint"))
    pairs = pd.read_parquet(project.folder / "results/pairs/wim/round1.parquet")
    assert len(pairs)
    for prompt in pairs["prompt"]:
        assert prompt[0]["role"] == "system" and prompt[-1]["role"] == "user"
    dialogues = pd.concat(
        map(pd.read_parquet, sorted((project.folder / "results/dialogues/base").iterdir()))
    )
    judged = dialogues[dialogues["judged"]]
    assert set(judged["speaker"]) == {ACTOR} and set(dialogues["speaker"]) == {ACTOR, PARTNER}
    assert first["generated"] == len(dialogues)
    assert set(pairs["chosen_id"]) | set(pairs["rejected_id"]) <= set(judged["candidate_id"])
    project.set("dialogues.exchanges", 3)
    longer = rows_computed(project.run("--", "ratings"))
    # The turns that were held are known; only those behind them are drawn.
    assert 0 < longer["generated"] < first["generated"]
    card = json.loads(
        (project.folder / "results/checkpoints/wim/round1/provenance.json").read_text()
    )
    assert card["settings"]["dialogues"]["mode"] == "expert_chat"
