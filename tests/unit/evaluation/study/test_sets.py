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


def test_several_labels_of_a_response_count_by_their_mean(tmp_path: Path) -> None:
    said = [("A", 5), ("A", 1), ("B", 4), ("B", 4)]
    labels = [{"instruction": "Why?", "response": text, "score": score} for text, score in said]
    assert winners(read(tmp_path, [row("A", 1), row("B", 5)], labels)) == [("B", "A")]
    assert winners(read(tmp_path, [row("A", 1), row("B", 5)], labels[::-1])) == [("B", "A")]
    # The same judgement comes again with another person's label.
    rows = [row(text, 3, human_score=score, feedback="Vague.") for text, score in said]
    rows.insert(0, row("B", 3, feedback="Vague."))
    recorded = read(tmp_path, rows)
    assert (len(recorded.judgements), recorded.repeated) == (2, 3)
    assert winners(recorded) == [("B", "A")]


def test_labelled_pairs_that_contradict_each_other_tell_nothing(tmp_path: Path) -> None:
    pair = {"input": "Why?", "output_1": "A", "output_2": "B", "label": 1}
    turned = {"input": "Why?", "output_1": "B", "output_2": "A", "label": 1}
    rows = [row("A", 1), row("B", 5), row("C", 5)]
    other = {"input": "Why?", "output_1": "C", "output_2": "A", "label": 1}
    assert winners(read(tmp_path, rows, [pair, turned, other])) == [("C", "A")]
    with pytest.raises(UserError, match=r"labels\.json: of no two responses do the labels say"):
        read(tmp_path, rows, [pair, turned])
    agreeing = {**turned, "label": 2}
    assert winners(read(tmp_path, rows, [pair, agreeing])) == [("A", "B")]


def test_rows_of_labels_that_are_no_objects_are_listed(tmp_path: Path) -> None:
    labels = [{"instruction": "Why?", "response": "A", "score": 3}, "B", None]
    with pytest.raises(UserError, match="row 2, row 3: no prompt, response and number"):
        read(tmp_path, [row("A", 1), row("B", 5)], labels)


@pytest.mark.parametrize("texts", [("A", "\ud83d"), ("A\0", "B\0\0"), ("", "B")])
def test_odd_texts_are_read(tmp_path: Path, texts: tuple[str, str]) -> None:
    one, other = texts
    rows = [
        row(one, 1, f"Why\0\udc00 {one}?", human_score=1, feedback=f"{one} is vague."),
        row(other, 3, f"Why\0\udc00 {one}?", human_score=2, feedback="\ud800 is vague."),
    ]
    recorded = read(tmp_path, rows)
    assert len(winners(recorded)) == 1
    for text in recorded.judgements["completion"]:
        assert "\0" not in text
        text.encode()
