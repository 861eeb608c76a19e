"""Reading what lm-eval 0.4.13 wrote of a tiny model, in `written/`: a group and two tasks."""

import json
from pathlib import Path

import pytest

from wim.errors import UserError
from wim.evaluation.harness.results import Score, read_results, read_samples, results_files

WRITTEN = Path(__file__).with_name("written")


def test_scores_come_with_their_standard_errors_versions_and_counts() -> None:
    found = read_results(results_files(WRITTEN)[0])
    assert found.versions == {"lm_eval": "0.4.13", "transformers": "5.23.0"}
    colours = found.tasks["colours"]
    assert colours.scores["acc_norm,none"] == Score(0.25, pytest.approx(0.16366, abs=1e-5), True)
    assert (colours.version, colours.examples, colours.subtasks) == ("1.0", 0, ())
    assert (colours.questions, colours.all_questions) == (8, 12)
    assert found.tasks["copies"].scores["exact_match,none"].standard_error == 0.0


def test_a_task_is_summed_up_by_its_best_known_metric() -> None:
    tasks = read_results(results_files(WRITTEN)[0]).tasks
    mains = {name: task.main for name, task in tasks.items()}
    assert mains["colours"] == "acc_norm,none"
    assert mains["copies"] == "exact_match,none"
    assert mains["quiz"] == "acc,none"


def test_a_group_has_its_tasks_and_all_their_questions() -> None:
    quiz = read_results(results_files(WRITTEN)[0]).tasks["quiz"]
    assert quiz.subtasks == ("quiz::quiz_likely", "quiz::quiz_named")
    assert (quiz.questions, quiz.all_questions) == (16, 24)
    assert quiz.examples is None


def test_each_questions_score_is_read_and_their_mean_is_the_tasks() -> None:
    results, samples = results_files(WRITTEN)
    rows = [row for path in samples for row in read_samples(path)]
    tasks = read_results(results).tasks
    assert {row.task for row in rows} == set(tasks) - {"quiz"}
    for name in ("colours", "copies", "quiz::quiz_named"):
        main = tasks[name].main
        own = [row for row in rows if row.task == name and row.metric == main]
        assert len({row.question for row in own}) == len(own) == 8
        assert sum(row.score for row in own) / 8 == tasks[name].scores[main or ""].value
    # BLEU is of all answers together.
    assert not [row for row in rows if row.metric == "bleu,none"]


def test_what_is_no_number_is_no_score(tmp_path: Path) -> None:
    whole = json.loads(results_files(WRITTEN)[0].read_text())
    whole["results"]["colours"] |= {"acc_norm,none": float("nan"), "acc_stderr,none": "N/A"}
    path = tmp_path / "results_x.json"
    path.write_text(json.dumps(whole))
    scores = read_results(path).tasks["colours"].scores
    assert scores == {"acc,none": Score(0.25, None, True)}


def test_a_file_of_another_form_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "results_x.json"
    path.write_text('{"results": {"a": {"acc,none": 1.0}}}')
    with pytest.raises(UserError, match=r"results_x.json: .*make harness-environment"):
        read_results(path)
