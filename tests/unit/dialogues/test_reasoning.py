"""What becomes of what a model thought before its answer: trained, judged as well, or left out."""

from pathlib import Path

import pytest

from support.builders import candidate
from wim.dag.inputs import Inputs
from wim.dag.specs import Specs
from wim.dag.training_specs import TrainingSpecs
from wim.dialogues.conversations import read_judged, whole_conversations
from wim.errors import UserError
from wim.judging.compare import compared_pairs
from wim.settings.load import load_config
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import DIALOGUES, Candidate

ROWS = [
    candidate("thought", reasoning="It is by the sea.", completion="In Lisbon.", tokens=[1, 2]),
    candidate("plain", sample=1, completion="In Porto.", tokens=[3]),
    candidate("never", sample=2, completion="", reasoning="Hm", judged=False),
]


def read(folder: Path, reasoning: bool) -> dict[str, Candidate]:
    write_table(folder / "d.parquet", DIALOGUES, as_arrow(DIALOGUES, ROWS))
    found = read_judged(folder / "d.parquet", reasoning=reasoning)
    return {row.candidate_id: row for row in found}


def test_judges_read_the_answer_alone_or_behind_what_was_thought(tmp_path: Path) -> None:
    alone, both = read(tmp_path, False), read(tmp_path, True)
    assert set(alone) == set(both) == {"thought", "plain"}
    assert alone["thought"].completion == "In Lisbon."
    assert both["thought"].completion == "It is by the sea.\n\nIn Lisbon."
    assert both["plain"] == alone["plain"]


def test_comparisons_and_encoders_read_the_same(tmp_path: Path) -> None:
    from support.builders import rating
    from wim.embedding.embed import _judged
    from wim.tables.schemas import RATINGS

    (pair,) = compared_pairs([list(read(tmp_path, True).values())], None, 0)
    assert {pair.response_a, pair.response_b} == {"In Porto.", "It is by the sea.\n\nIn Lisbon."}
    ratings = as_arrow(RATINGS, [rating("thought"), rating("plain")])
    write_table(tmp_path / "r.parquet", RATINGS, ratings)
    for reasoning, expected in ((True, "It is by the sea.\n\nIn Lisbon."), (False, "In Lisbon.")):
        rows = _judged(tmp_path / "d.parquet", tmp_path / "r.parquet", False, reasoning)
        assert {row["candidate_id"]: row["completion"] for row in rows}["thought"] == expected


def test_a_whole_conversation_has_no_tokens_of_its_first_turn() -> None:
    first = candidate("a", tokens=[1], finish_reason="stop")
    last = candidate("b", turn=3, completion="And so on", finish_reason="length", judged=False)
    (whole,) = whole_conversations([first, last])
    assert (whole.tokens, whole.finish_reason) == (None, "length")


def specs(**dialogues: object) -> dict[str, str]:
    """The specs of all stages that reasoning may decide."""

    class Wildcards:
        policy, judge, arm, round = "base", "smollm2", "wim", "1"
        sft, reward_model = "s", "rm"

    config = load_config(
        {
            "models": {"thinker": {"source": "path:/thinker", "thinking": "on"}},
            "dialogues": {"actor": "thinker", **dialogues},
            "judges": {"smollm2": {"model": "smollm2"}},
            "sft": {"s": {"completions": "base"}},
            "reward_models": {"rm": {"arm": "wim"}},
        }
    )
    inputs = Inputs(config, Path())
    made = (
        (Specs(inputs), ("dialogues", "ratings", "embeddings")),
        (TrainingSpecs(inputs), ("pairs", "training", "sft", "reward_model")),
    )
    return {name: getattr(specs, name)(Wildcards()) for specs, names in made for name in names}


def test_each_choice_reruns_what_it_decides_and_the_default_is_in_no_identity() -> None:
    default = specs()
    assert not any("reasoning" in each for each in default.values())
    assert '"thinking":"on"' in default["training"] and '"thinking":"on"' in default["sft"]
    assert "thinking" not in default["reward_model"]
    for choice, judged in (("judged", True), ("left_out", False)):
        chosen = specs(reasoning=choice)
        differing = {name for name, each in chosen.items() if each != default[name]}
        trained = {"training", "sft", "reward_model"}
        assert differing == trained | ({"ratings", "embeddings"} if judged else set())


def test_conversations_are_not_judged_with_what_was_thought() -> None:
    dialogues = {"mode": "expert_chat", "judged": "conversations", "reasoning": "judged"}
    with pytest.raises(UserError, match="write reasoning: trained or left_out"):
        load_config({"dialogues": dialogues})
