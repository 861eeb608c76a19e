"""Labelled pairs as they come: rows made by hand in the form of each set, and what is refused."""

import gzip
import json
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from wim.errors import UserError
from wim.evaluation.agreement import annotators_of
from wim.evaluation.judged_pairs import LabelledPair, PairJudgement
from wim.evaluation.labelled_judgements import distinct_pairs, distinct_responses
from wim.evaluation.labels.read import read_labels
from wim.evaluation.pair_statistics import pair_statistics

NAN = float("nan")
ROW = {"input": "Hi", "output_1": "Hello", "output_2": "What?", "label": 2}


def read(folder: Path, rows: object, form: str | None = None) -> list[LabelledPair]:
    path = folder / "labels.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return read_labels([path], form)


def words(pair: LabelledPair) -> tuple[str, str, str, str]:
    """The prompt, both responses and the label."""
    prompt = "|".join(message["content"] for message in pair.context)
    return prompt, pair.response_a, pair.response_b, pair.better


# Published sets.


def test_pandalms_rows_have_three_annotators_and_an_input_that_may_be_nan(tmp_path: Path) -> None:
    row = {
        "idx": 0, "cmp_key": "bloom-7b_llama-7b", "instruction": "Translate.", "input": "Hello",
        "response1": "Bonjour", "response2": "Hola", "annotator1": 1, "annotator2": 1,
        "annotator3": 0,
    }  # fmt: skip
    rows = [row, {**row, "input": NAN, "annotator1": 0}, {**row, "annotator1": 2}]
    one, other, again = read(tmp_path, rows)
    assert words(one) == ("Translate.\n\nHello", "Bonjour", "Hola", "a")
    assert one.votes == (("annotator1", "a"), ("annotator2", "a"), ("annotator3", "tie"))
    assert (one.subset, other.context[0]["content"]) == ("bloom-7b_llama-7b", "Translate.")
    assert other.better == "tie"
    # The set has equal pairs of different models: pairs each, whose responses are judged once.
    assert again.pair_id != one.pair_id
    assert again.better == "b", "2, 1 and 0: the first vote counts, as published"
    assert len(distinct_responses([one, again])) == 2


def test_pandalms_kappas_and_label_counts_are_by_the_formulas(tmp_path: Path) -> None:
    votes = [(1, 1, 1)] * 4 + [(2, 2, 2)] * 4 + [(0, 0, 0), (1, 1, 2), (2, 1, 2), (0, 1, 2)]
    rows = [
        {
            "instruction": f"{place}?", "input": "", "response1": "one", "response2": "two",
            **{f"annotator{number}": vote for number, vote in enumerate(each, start=1)},
        }
        for place, each in enumerate(votes)
    ]  # fmt: skip
    found = annotators_of(read(tmp_path, rows, "pandalm"))
    assert found is not None
    assert found.labels == {"a": 5, "b": 5, "tie": 2}
    # Of the first and the second: 10 of 12 equal; 5, 5, 2 and 7, 4, 1 labels.
    chance = (5 * 7 + 5 * 4 + 2 * 1) / 144
    assert found.kappas["annotator1, annotator2"].value == pytest.approx(
        (10 / 12 - chance) / (1 - chance)
    )


def test_judgebench_names_the_right_response(tmp_path: Path) -> None:
    row = {
        "pair_id": "x", "source": "livebench-math", "question": "2 + 2?", "response_A": "5",
        "response_B": "4", "label": "B>A", "response_model": "m",
    }  # fmt: skip
    (one,) = read(tmp_path, [row])
    assert words(one) == ("2 + 2?", "5", "4", "b")
    assert one.subset == "livebench-math"
    with pytest.raises(UserError, match=r"row 1 has the label 'A=B'; expected .*A>B or B>A"):
        read(tmp_path, [{**row, "label": "A=B"}])


def test_rewardbench_2_pairs_the_chosen_response_with_each_rejected_one(tmp_path: Path) -> None:
    row = {
        "id": "1", "prompt": "Why?", "chosen": ["good"], "rejected": ["bad", "worse", "worst"],
        "subset": "Focus", "num_correct": 1,
    }  # fmt: skip
    pairs = read(tmp_path, [row])
    assert [pair.response_b for pair in pairs] == ["bad", "worse", "worst"]
    assert {(pair.response_a, pair.better, pair.subset) for pair in pairs} == {
        ("good", "a", "Focus")
    }
    assert len({pair.group for pair in pairs} - {""}) == 1
    assert [one.completion for one in distinct_responses(pairs)].count("good") == 1
    assert len(distinct_responses(pairs)) == 4
    right = [PairJudgement(pair.pair_id, "a", "a", ("ok",)) for pair in pairs]
    assert pair_statistics(pairs, right).right_in_whole_group.value == 1
    right[1] = PairJudgement(pairs[1].pair_id, "b", "b", ("ok",))
    found = pair_statistics(pairs, right)
    assert (found.accuracy.value, found.right_in_whole_group.value) == (pytest.approx(2 / 3), 0)


def test_rewardbenchs_single_texts_are_one_pair(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    rows = [
        {"prompt": "Hi", "chosen": "Hello", "rejected": "No"},
        {"prompt": "Ho", "chosen": turns, "rejected": [{"role": "assistant", "content": "No"}]},
    ]
    assert [words(pair) for pair in read(tmp_path, rows)] == [
        ("Hi", "Hello", "No", "a"),
        ("Ho", "Hello", "No", "a"),
    ]


def test_rm_bench_has_nine_pairs_and_a_matrix_of_styles(tmp_path: Path) -> None:
    row = {
        "id": "1", "prompt": "Why?", "chosen": ["c1", "c2", "c3"], "domain": "chat",
        "rejected": ["r1", "r2", "r3"],
    }  # fmt: skip
    pairs = read(tmp_path, [row])
    assert len(pairs) == len({pair.pair_id for pair in pairs}) == 9
    assert len(distinct_responses(pairs)) == 6
    # A judge of style: the fancier one wins, and of equal ones it has no opinion.
    judged = []
    for pair in pairs:
        lead = int(pair.response_a[1]) - int(pair.response_b[1])
        won = "a" if lead > 0 else "b" if lead < 0 else "tie"
        judged.append(PairJudgement(pair.pair_id, won, won, ("ok", "ok")))
    found = pair_statistics(pairs, judged).styles
    assert found is not None
    assert (found.hard.value, found.normal.value, found.easy.value) == (0, 0.5, 1)
    assert found.matrix["concise"]["markdown"].value == 0
    assert found.matrix["markdown"]["concise"].n == 1
    with pytest.raises(UserError, match="row 1 has 2 chosen and 3 rejected responses"):
        read(tmp_path, [{**row, "chosen": ["c1", "c2"]}])


def test_rm_benchs_equal_styles_are_pairs_each_and_one_comparison(tmp_path: Path) -> None:
    row = {"prompt": "Why?", "chosen": ["c", "c", "C"], "rejected": ["r", "r", "R"], "domain": "x"}
    pairs = read(tmp_path, [row], "rm_bench")
    assert len(pairs) == 9
    assert len(distinct_responses(pairs)) == len(distinct_pairs(pairs)) == 4


def test_hh_rlhfs_transcripts_share_their_context(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Help?\n\nAssistant:"
    rows = [
        {"chosen": f"{start} Gladly.", "rejected": f"{start} No."},
        {"chosen": f"{start} Gladly.", "rejected": "\n\nHuman: Ho\n\nAssistant: No."},
        {"chosen": f"{start} Gladly.", "rejected": f"{start}"},
    ]
    path = tmp_path / "test.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(map(json.dumps, rows)))
    with caplog.at_level(logging.WARNING):
        (one,) = read_labels([path])
    assert words(one) == ("Hi|Hello|Help?", "Gladly.", "No.", "a")
    assert "left out 1 times: the conversations differ before the last answer" in caplog.text
    assert "left out 1 times: a conversation does not end with an answer" in caplog.text


def test_auto_j_counts_from_0_and_2_is_a_tie(tmp_path: Path) -> None:
    row = {"scenario": "planning", "prompt": "Plan.", "response 1": "A", "response 2": "B"}
    pairs = read(tmp_path, [{**row, "label": label} for label in (0, 1, 2)])
    assert [pair.better for pair in pairs] == ["a", "b", "tie"]
    assert {pair.subset for pair in pairs} == {"planning"}


def test_mt_benchs_votes_on_first_answers_are_of_one_pair_in_either_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def said(answer: str) -> list[dict[str, str]]:
        turns = ["Q1", answer, "Q2", f"{answer}, more"]
        roles = ["user", "assistant"] * 2
        return [{"role": r, "content": t} for r, t in zip(roles, turns, strict=True)]

    def vote(winner: str, judge: str, order: str = "xy", turn: int = 1) -> dict[str, object]:
        return {
            "question_id": 81, "model_a": order[0], "model_b": order[1], "winner": winner,
            "judge": judge, "turn": turn, "conversation_a": said(order[0]),
            "conversation_b": said(order[1]),
        }  # fmt: skip

    rows = [
        vote("model_a", "expert_1"),
        vote("model_a", "expert_2", order="yx"),
        vote("tie (inconsistent)", "author_1"),
        vote("model_a", "author_2"),
        vote("model_b", "author_2"),
        vote("model_b", "expert_1", turn=2),
    ]
    path = tmp_path / "human.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    with caplog.at_level(logging.WARNING):
        (one,) = read_labels([path])
    assert words(one) == ("Q1", "x", "y", "a")
    assert one.votes == (
        ("expert_1", "a"), ("expert_2", "b"), ("author_1", "tie"), ("author_2", "a")
    )  # fmt: skip
    assert "left out 1 times: a vote on second answers" in caplog.text
    assert "left out 1 times: a further vote of an annotator" in caplog.text


# The definitions of JudgeBench and Auto-J.


def test_right_in_both_orders_and_right_on_balance_are_auto_js_and_judgebenchs(
    tmp_path: Path,
) -> None:
    orders = [
        ("a", "a", "a"),  # right in both
        ("a", "a", "tie"),  # right once and not wrong: JudgeBench counts it
        ("a", "a", None),  # the same
        ("a", "a", "b"),
        ("a", "tie", "tie"),
        ("tie", "tie", "tie"),  # Auto-J's label 2, predicted in both orders
        ("tie", "a", "b"),
        ("b", "a", "a"),
    ]
    label = {"a": 1, "b": 2, "tie": "tie"}
    rows = [{**ROW, "input": f"{n}", "label": label[b]} for n, (b, _, _) in enumerate(orders)]
    pairs = read(tmp_path, rows)
    judged = [
        PairJudgement(pair.pair_id, one, other, ("ok", "ok"))
        for pair, (_, one, other) in zip(pairs, orders, strict=True)
    ]
    found = pair_statistics(pairs, judged)  # type: ignore[arg-type]
    assert (found.right_in_both_orders.value, found.right_in_both_orders.n) == (2 / 8, 8)
    assert (found.right_on_balance.value, found.right_on_balance.n) == (3 / 6, 6)
    assert (found.pairs, found.label_ties, found.judged, found.failed) == (8, 2, 7, 1)
    # Outcomes of the judged: a, tie, tie, tie, tie, tie, a; labels: a, a, a, a, tie, tie, b.
    assert (found.agreement.value, found.agreement.n) == (3 / 7, 7)


# The project's own form.


def test_instruction_and_input_are_joined(tmp_path: Path) -> None:
    (one,) = read(tmp_path, [{**ROW, "instruction": "Answer politely."}])
    assert one.context == ({"role": "user", "content": "Answer politely.\n\nHi"},)
    (alone,) = read(
        tmp_path, [{"instruction": "Say hi.", **{k: ROW[k] for k in ROW if k != "input"}}]
    )
    assert alone.context[0]["content"] == "Say hi."


def test_a_tie_several_annotators_and_a_subset(tmp_path: Path) -> None:
    rows = [
        {**ROW, "annotator": "anna", "subset": "chat"},
        {"input": "Hi", "output_1": "What?", "output_2": "Hello", "label": 1, "annotator": "ben"},
        {**ROW, "annotator": "eve", "label": "tie"},
        {**ROW, "input": "Ho", "label": "tie"},
        {
            "input": "Hey",
            "output_1": "x",
            "output_2": "y",
            "votes": {"anna": 1, "ben": 1, "eve": 2},
        },
        {"input": "Hm", "output_1": "x", "output_2": "y", "votes": [1, 2]},
    ]
    one, tie, voted, split = read(tmp_path, rows)
    assert (one.votes, one.better) == ((("anna", "b"), ("ben", "b"), ("eve", "tie")), "b")
    assert (one.subset, tie.better, tie.votes) == ("chat", "tie", ())
    assert (voted.better, split.better) == ("a", "tie")
    assert split.votes == (("1", "a"), ("2", "b"))


def test_a_conversation_is_a_context(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
    ]
    (one,) = read(tmp_path, [{**ROW, "input": turns}])
    assert one.context == tuple(turns)
    with pytest.raises(UserError, match="row 1 has a conversation in input that does not end with"):
        read(tmp_path, [{**ROW, "input": turns[:2]}])


def test_more_than_two_responses_with_ranks_or_scores_are_each_judged_once(tmp_path: Path) -> None:
    rows = [
        {"input": "Hi", "outputs": ["A", "B", "C", "D"], "ranks": [2, 1, 2, 3]},
        {"input": "Ho", "outputs": ["A", "B"], "scores": [0.5, 7]},
    ]
    pairs = read(tmp_path, rows)
    assert [words(pair)[1:] for pair in pairs] == [
        ("A", "B", "b"), ("A", "C", "tie"), ("A", "D", "a"), ("B", "C", "a"), ("B", "D", "a"),
        ("C", "D", "a"), ("A", "B", "b"),
    ]  # fmt: skip
    candidates = distinct_responses(pairs)
    assert [one.completion for one in candidates if one.context[0]["content"] == "Hi"] == sorted(
        "ABCD", key=[one.completion for one in candidates].index
    )
    assert len(candidates) == 6
    assert len({pair.prompt for pair in pairs}) == 2


def test_the_ids_of_responses_in_one_pair_are_those_of_the_pair(tmp_path: Path) -> None:
    (one,) = read(tmp_path, [ROW])
    bare = LabelledPair(one.pair_id, one.context, one.response_a, one.response_b, one.better)
    assert [each.candidate_id for each in one.candidates] == [
        each.candidate_id for each in bare.candidates
    ]


def test_a_shared_response_has_the_same_id_whatever_the_order_of_rows(tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "output_2": "Eh?"}, {**ROW, "output_1": "Eh?"}]
    one, other = read(tmp_path, rows), read(tmp_path, rows[::-1])
    ids = {(c.completion, c.candidate_id, c.dialogue_id) for c in distinct_responses(one)}
    assert len(ids) == 3
    assert ids == {(c.completion, c.candidate_id, c.dialogue_id) for c in distinct_responses(other)}
    own = {each.candidate_id for pair in one for each in LabelledPair(
        pair.pair_id, pair.context, pair.response_a, pair.response_b, "a").candidates}  # fmt: skip
    assert {name for _, name, _ in ids} <= own, "rows that were judged before are found"


def test_json_lines_and_several_files_are_read_in_order(tmp_path: Path) -> None:
    rows = [{**ROW, "input": f"{number}"} for number in range(4)]
    (tmp_path / "one.jsonl").write_text("\n".join(map(json.dumps, rows[:2])) + "\n\n")
    (tmp_path / "two.json").write_text("\n".join(map(json.dumps, rows[2:])))
    pairs = read_labels([tmp_path / "one.jsonl", tmp_path / "two.json"])
    assert [pair.context[0]["content"] for pair in pairs] == ["0", "1", "2", "3"]


# What is refused.


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": True}, "row 1 has the label True"),
        ({"label": "1"}, "row 1 has the label '1'"),
        ({"label": 0}, "row 1 has the label 0"),
        ({"label": [1]}, r"row 1 has the label \[1\]"),
        ({"output_1": None}, "row 1 has no texts to compare"),
        ({"votes": [1, 3]}, "row 1 has votes beside a label"),
        ({"outputs": ["A", "B"], "ranks": [1]}, r"has 2 outputs and the ranks \[1\]"),
        ({"outputs": ["A", "B"], "ranks": [1, True]}, "which are not all numbers"),
        ({"outputs": ["A", "B"]}, "with either ranks or scores"),
        ({"outputs": ["A", "A"], "scores": [1, 2]}, "has the same output twice"),
    ],
)
def test_a_row_of_another_form_is_refused_with_what_was_found(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        read(tmp_path, [{**ROW, **change}])


def test_repeated_and_reversed_rows_are_listed_all_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reverse = {"input": "Hi", "output_1": "What?", "output_2": "Hello", "label": 1}
    other = {**ROW, "input": "Ho"}
    with pytest.raises(UserError) as refused:
        read(tmp_path, [ROW, other, ROW, reverse, other])
    for said in ("row 3 repeats a pair (row 1)", "row 4 repeats a pair, reversed (row 1)",
                 "row 5 repeats a pair (row 2)", "name each row's annotator"):  # fmt: skip
        assert said in str(refused.value)
    with caplog.at_level(logging.WARNING):
        assert len(read(tmp_path, [ROW, reverse])) == 2
    assert "row 2 repeats a pair, reversed (row 1)" in caplog.text


def test_a_pair_of_equal_responses_says_nothing_and_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert len(read(tmp_path, [ROW, {**ROW, "output_1": "What?"}])) == 1
    assert "left out 1 times: two responses that are equal" in caplog.text
    with pytest.raises(UserError, match="found no labelled pair"):
        read(tmp_path, [{**ROW, "output_1": "What?"}])


@pytest.mark.parametrize("empty", ["chosen", "rejected"])
def test_a_row_without_one_side_is_refused_and_not_left_out_in_silence(
    tmp_path: Path, empty: str
) -> None:
    row = {"prompt": "Why?", "chosen": ["Yes"], "rejected": ["No"], "subset": "s"}
    with pytest.raises(UserError, match=r"row 2 has \d chosen and \d rejected responses"):
        read(tmp_path, [row, {**row, empty: []}])


def test_what_one_file_repeats_is_not_said_of_the_next(tmp_path: Path) -> None:
    def vote(answers: str) -> dict[str, object]:
        one, other = (
            [{"role": "user", "content": "Q"}, {"role": "assistant", "content": answer}]
            for answer in answers
        )
        return {
            "winner": "model_a", "judge": "expert", "turn": 1, "conversation_a": one,
            "conversation_b": other,
        }  # fmt: skip

    votes, own = tmp_path / "votes.json", tmp_path / "own.json"
    # The second is left out, the third is a pair of its own.
    votes.write_text(json.dumps([vote("xy"), vote("xy"), vote("yx")]))
    own.write_text(json.dumps([ROW]))
    assert len(read_labels([votes, own])) == 3


def test_two_annotators_who_always_disagree_tell_of_ties_alone(tmp_path: Path) -> None:
    rows = [
        {**ROW, "input": f"{place}?", "label": label, "annotator": name}
        for place in range(4)
        for name, label in (("anna", 1), ("ben", 2))
    ]
    pairs = read(tmp_path, rows)
    assert {pair.better for pair in pairs} == {"tie"}
    found = annotators_of(pairs)
    assert found is not None
    assert found.agreement.value == 0
    assert found.ceiling.value == 0
    judged = [PairJudgement(pair.pair_id, "a", "a", ("ok", "ok")) for pair in pairs]
    figures = pair_statistics(pairs, judged)
    assert (figures.label_ties, figures.accuracy.n, figures.accuracy.value) == (4, 0, None)
    assert figures.right_in_both_orders.value == 0
