"""Recorded sets: what tells which response is better, and the pairs that are compared."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from wim.errors import UserError
from wim.evaluation.study.compared_pairs import compared_pairs
from wim.evaluation.study.sets import OTHERS, RecordedSet, read_set
from wim.settings.study import RecordedSettings


def row(response: str, score: object, prompt: str = "Why?", **columns: Any) -> dict[str, Any]:
    feedback = columns.pop("feedback", f"{response} is judged {score} {len(columns)}.")
    return {"instruction": prompt, "response": response, "feedback": feedback, "score": score} | (
        columns
    )


def read(
    folder: Path, rows: Sequence[Mapping[str, Any]], labels: object = None, **settings: Any
) -> RecordedSet:
    path, of_labels = folder / "recorded.json", folder / "labels.json"
    path.write_text(json.dumps(rows))
    of_labels.write_text(json.dumps(labels))
    return read_set(
        "s",
        RecordedSettings(ratings=[str(path)], **settings),
        [path],
        of_labels if labels is not None else None,
    )


def winners(recorded: RecordedSet, samples: int = 1) -> list[tuple[str, str]]:
    texts = recorded.judgements["completion"]
    return [
        (texts[pair.better[0]], texts[pair.worse[0]]) for pair in compared_pairs(recorded, samples)
    ]


def test_other_judgements_of_the_same_responses_tell_which_is_better(tmp_path: Path) -> None:
    rows = [row("A", score, feedback=f"A{place}.") for place, score in enumerate([1, 5, 5])] + [
        row("B", score, feedback=f"B{place}.") for place, score in enumerate([5, 2, 2])
    ]
    recorded = read(tmp_path, rows)
    assert recorded.labels == OTHERS
    assert recorded.samples == 2
    positions = recorded.judgements["position"]
    found = {
        positions[pair.better[0]]: recorded.judgements["completion"][pair.better[0]]
        for pair in compared_pairs(recorded, 1)
    }
    # The judgement at 0 is compared by those at 1 and 2; at 1 and 2 the others are equal or nearly.
    assert found == {0: "A", 1: "B", 2: "B"}
    by_two = compared_pairs(recorded, 2)
    assert [recorded.judgements["completion"][pair.better[0]] for pair in by_two] == ["A", "A", "B"]
    assert all(len(pair.better) == len(pair.worse) == 2 for pair in by_two)


def test_a_judgement_is_never_among_those_that_it_is_compared_by(tmp_path: Path) -> None:
    rows = [row("A", 5, feedback="A0."), row("A", 3, feedback="A1.")]
    rows += [row("B", 1, feedback="B0."), row("B", 3, feedback="B1.")]
    recorded = read(tmp_path, rows)
    positions = recorded.judgements["position"]
    # At 0 the judge prefers A, but the others, at 1, are equal; at 1 those at 0 prefer A.
    assert [positions[pair.better[0]] for pair in compared_pairs(recorded, 1)] == [1]


def test_a_column_of_labels_comes_first(tmp_path: Path) -> None:
    rows = [row("A", 1, human_score=9), row("B", 5, human_score=2), row("C", 5, human_score=2)]
    recorded = read(tmp_path, rows)
    assert recorded.labels == "the column of labels"
    assert set(winners(recorded)) == {("A", "B"), ("A", "C")}


@pytest.mark.parametrize(
    "labels",
    [
        [{"input": "Why? ", "output_1": "B", "output_2": "A", "label": 2}],
        [
            {"instruction": "Why?", "response": "A", "score": 3},
            {"instruction": "Why?", "response": "B\n", "score": 1},
        ],
    ],
)
def test_labels_come_from_a_file_of_the_same_texts(tmp_path: Path, labels: object) -> None:
    recorded = read(tmp_path, [row("A", 1), row("B", 5), row("C", 5)], labels)
    assert recorded.labels == "the labels of labels.json"
    assert winners(recorded) == [("A", "B")]


def test_without_labels_it_is_said_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"write study\.recorded\.s\.labels|Write study\.recorded"):
        read(tmp_path, [row("A", 1), row("B", 5)])


def test_failed_judgements_and_repeated_rows_are_counted_and_give_no_rewards(
    tmp_path: Path,
) -> None:
    rows = [
        row("A", None, human_score=1),
        row("B", 5, human_score=2, feedback="Nothing is missing."),
        row("C", 3, human_score=3, feedback=""),
        row("D", 4, human_score=4, feedback="Vague."),
        row("D", 4, human_score=4, feedback="Vague."),
        row("E", 1, human_score=5, feedback="I cannot help with that."),
    ]
    recorded = read(tmp_path, rows)
    assert recorded.repeated == 1
    by_response = recorded.judgements.set_index("completion")["status"].to_dict()
    assert by_response == {
        "A": "unparsable",
        "B": "nothing_missing",
        "C": "unparsable",
        "D": "ok",
        "E": "refused",
    }


def test_numbers_are_on_the_scale_of_the_workflows_judges(tmp_path: Path) -> None:
    rows = [row("A", 1, human_score=1), row("B", 3, human_score=2), row("C", 2, human_score=2)]
    assert read(tmp_path, rows, scale=[1, 5]).judgements["rating"].tolist() == [1.0, 5.5, 3.25]
    assert read(tmp_path, rows).judgements["rating"].tolist() == [1.0, 10.0, 5.5]
