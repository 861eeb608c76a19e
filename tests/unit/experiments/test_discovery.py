"""Proposals, their check, the archive, and what a loss is worth."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from support.builders import pair, write_pairs
from support.workflow_runs import REPOSITORY
from wim.errors import UserError
from wim.experiments.discovery.answers import Unreadable, read_answer
from wim.experiments.discovery.archive import Archived, best_of, read_archive, write_archive
from wim.experiments.discovery.fitness import evaluate_discovered, of_evaluation
from wim.experiments.discovery.messages import messages
from wim.experiments.discovery.propose import attempts
from wim.experiments.discovery.report import _fenced, _plain
from wim.experiments.discovery.train import OF_THE_LOSS
from wim.own_loss.check import Check, Limits, check_text
from wim.own_loss.formula import LOG_PROBABILITIES
from wim.own_loss.trial import trial
from wim.settings.discovery import DiscoverySettings, FitnessSettings, ProposingSettings
from wim.settings.load import load_config
from wim.tables.schemas import Message
from wim.templates import Templates, read_templates

SIGNATURE = ", ".join((*LOG_PROBABILITIES, "beta"))
RHO = (
    "(policy_chosen_logps - reference_chosen_logps)"
    " - (policy_rejected_logps - reference_rejected_logps)"
)
LIMITS = Limits(20.0, 2048)


def code(returned: str) -> str:
    return f"def mine({SIGNATURE}):\n    rho = {RHO}\n    return {returned}"


def answer(returned: str, name: str = "mine") -> str:
    return json.dumps({"thought": "t", "name": name, "code": code(returned)})


def row(**values: Any) -> Archived:
    known = dict.fromkeys(Archived.__dataclass_fields__)
    known |= {"number": 0, "generation": 1, "status": "tried"}
    return Archived(**{**known, **values})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def templates() -> Templates:
    folder = REPOSITORY / "config/templates/discovery"
    return read_templates([folder / f"{name}.jinja" for name in ("system", "start", "result")])


@pytest.mark.parametrize(
    "text",
    [
        answer("rho"),
        f"Here it is:\n```json\n{answer('rho')}\n```\nGood luck.",
        answer("rho").replace("\\n", "\n"),
        '{no} {} {"a": 1} ' + answer("rho") + answer("2 * rho"),
        json.dumps({"thought": "t", "name": "mine", "code": f"```python\n{code('rho')}\n```"}),
    ],
)
def test_the_first_proposal_in_an_answer_is_read(text: str) -> None:
    assert read_answer(text).code.strip() == code("rho")


def test_half_a_character_is_no_crash_in_the_archive(tmp_path: Path) -> None:
    found = read_answer('{"thought": "\\ud800", "name": "a", "code": "b"}')
    write_archive(tmp_path / "a.parquet", [row(thought=found.thought)])
    assert read_archive(tmp_path / "a.parquet")[0].thought == "?"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "found no JSON object; answer with one JSON object"),
        ("def mine(): pass", "found no JSON object"),
        ('{"thought": "t", "name": "n"}', "found a JSON object without a text at code"),
        ('{"thought": "t", "name": 3, "code": "c"}', "without a text at name"),
        ("{" * 5000, "found no JSON object"),
        ('{"a":' * 5000, "found no JSON object"),
    ],
)
def test_an_answer_that_is_no_proposal_is_told(text: str, told: str) -> None:
    with pytest.raises(Unreadable, match=told):
        read_answer(text)


@pytest.mark.parametrize(
    ("returned", "beta", "told"),
    [
        ("rho.mean()", 0.05, "mine: found the shape () for 10 pairs"),
        ("beta * rho.detach()", 0.05, "does not depend on the policy's log-probabilities"),
        ("-policy_chosen_logps", 0.05, "does not depend on policy_rejected_logps"),
        ("0 * rho", 0.05, "the gradients of ten random pairs are all 0"),
        ("torch.exp(-rho)", 0.05, "the loss is inf at a difference of log-ratios of -100"),
        ("torch.exp(-beta * rho)", 1.0, "the loss is inf at a difference of log-ratios of -100"),
        ("torch.sqrt(rho * rho)", 0.05, "the gradient is nan at a difference of log-ratios of 0"),
        ("rho * torch.open", 0.05, "line 3: found `torch.open`"),
    ],
)
def test_what_cannot_be_trained_with_is_found(returned: str, beta: float, told: str) -> None:
    assert told in str(trial(code(returned), None, beta)["problem"])


def test_a_loss_that_can_be_trained_with_is_described() -> None:
    found = check_text((REPOSITORY / "config/losses/lrml.py").read_text(), None, 0.05, LIMITS)
    assert found.problem is None and found.over_batch is False
    # Training begins by lowering margins: beta (-3/4 + (1 - ln 2) / (4 tau)).
    assert found.slope == pytest.approx(0.0392132, abs=1e-6)
    values = dict(found.curve)
    assert (
        len(values) == 81 and min(values) == -100 and values[0.0] == pytest.approx(0.8466, abs=1e-4)
    )
    shared = trial(code("(rho - rho.mean()) ** 2 + rho"), None, 0.05)
    assert shared["problem"] is None and shared["over_batch"] is True


def test_what_is_no_loss_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("a process was started"))
    found = check_text("import os", None, 0.05, LIMITS)
    assert str(found.problem).startswith("line 1: found `import os`")


@pytest.mark.parametrize(
    ("status", "said", "told"),
    [
        (-24, "", "it took more than 20 seconds or 2048 MB"),
        (-9, "", "it took more than 20 seconds or 2048 MB"),
        (1, "Traceback\nMemoryError", "the check ended with status 1: MemoryError"),
    ],
)
def test_a_process_that_ends_early_says_why(
    status: int, said: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.CompletedProcess([], status, "", said)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: done)
    assert check_text(code("rho"), None, 0.05, LIMITS).problem == told


def test_the_process_of_a_check_has_no_files_no_network_and_little_time() -> None:
    """Of the process itself: what its limits do, if anything came as far as to try."""
    script = (
        "import socket, sys, time\n"
        "from wim.own_loss.trial import _give_up\n"
        "_give_up(1.0, 2048)\n"
        "for attempt in (lambda: open('pwned', 'w'), lambda: open('/etc/passwd'), socket.socket):\n"
        "    try:\n"
        "        attempt()\n"
        "        print('possible')\n"
        "    except OSError as error:\n"
        "        print(error.errno)\n"
        "sys.stdout.flush()\n"
        "while True:\n"
        "    pass\n"
    )
    environment = {"PYTHONPATH": str(REPOSITORY / "workflow"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert done.stdout.split() == ["24", "24", "24"], done
    assert done.returncode < 0, "stopped by its limit"


class Asked:
    """A proposer of recorded answers that remembers what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked, self.numbers = list(answers), [], []

    def __call__(self, found: Sequence[Message], number: int) -> str | None:
        self.asked.append(list(found))
        self.numbers.append(number)
        return self.answers.pop(0) if self.answers else None


def test_a_proposer_is_asked_again_and_told_why(
    templates: Templates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "wim.experiments.discovery.propose.check_text",
        lambda code, *_: Check("it is nan" if "nan" in code else None),
    )
    known = row(name="known", digest="d", fitness=0.75, answer="{}", number=1)
    baseline = row(
        generation=0, status="baseline", name="sigmoid", code="def s(): ...", fitness=0.5
    )
    proposer = Asked("{{ 7 * 7 }}", answer("nan"), answer("rho"), answer("2 * rho"))
    settings = ProposingSettings(attempts=4)
    found = attempts(proposer, [baseline, known], templates, settings, 0.05, 2)
    assert [each.reason is None for each in found] == [False, False, True]
    assert proposer.numbers == [1, 2, 3]
    first, second, third = proposer.asked
    assert [each["role"] for each in first] == ["system", "user", "assistant", "user"]
    assert "sigmoid, fitness 0.5:\ndef s(): ..." in first[1]["content"]
    assert "Fitness: 0.75." in first[3]["content"]
    # An answer is never a template.
    assert second[4]["content"] == "{{ 7 * 7 }}"
    assert "Not valid: found no JSON object" in second[5]["content"]
    assert "found the name nan, which has no value" in third[7]["content"]


def test_attempts_end_when_they_are_used_up_or_there_is_no_more(templates: Templates) -> None:
    settings = ProposingSettings(attempts=2, history=0)
    proposer = Asked("a", "b", "c")
    assert len(attempts(proposer, [], templates, settings, 0.05, 1)) == 2
    assert len(proposer.asked[1]) == 2, "no history is shown"
    assert len(attempts(Asked("a"), [], templates, settings, 0.05, 1)) == 1


def test_a_formula_that_was_tried_is_refused_whatever_it_is_called(templates: Templates) -> None:
    from wim.own_loss.parse import parse_loss

    tried = row(name="first", digest=parse_loss(code("-rho")).digest, fitness=0.25, answer="a")
    renamed = answer("-(rho)").replace("mine", "other").replace("rho", "ratio")
    (found,) = attempts(Asked(renamed), [tried], templates, ProposingSettings(), 0.05, 2)
    assert (
        found.reason == "the same formula as first, which was tried before, with a fitness of 0.25"
    )


def test_the_history_that_is_shown_is_bounded(templates: Templates) -> None:
    rows = [row(number=n, answer=str(n), reason="no", name="x") for n in range(9)]
    shown = messages(rows, templates, ProposingSettings(history=3))
    assert [each["content"] for each in shown if each["role"] == "assistant"] == ["6", "7", "8"]


def test_the_archive_comes_back_and_knows_its_best(tmp_path: Path) -> None:
    rows = [
        row(number=0, fitness=0.25, name="a"),
        row(number=1, name="b", reason="failed"),
        row(number=2, fitness=0.5, name="c"),
        row(number=3, fitness=0.5, name="d"),
    ]
    write_archive(tmp_path / "a.parquet", rows)
    assert read_archive(tmp_path / "a.parquet") == rows
    assert read_archive(None) == []
    assert best_of(rows, "max") == rows[2] and best_of(rows, "min") == rows[0]
    assert best_of(rows[1:2], "max") is None


def test_the_fitness_of_a_training_that_failed_is_none(tmp_path: Path) -> None:
    outcome, metrics = tmp_path / "outcome.json", tmp_path / "metrics.jsonl"
    outcome.write_text('{"trained": false, "reason": "it is nan", "seconds": 1.0}')
    metrics.write_text("")
    output = tmp_path / "fitness.json"
    evaluate_discovered(outcome, metrics, tmp_path / "none", "s", FitnessSettings(), output)
    assert json.loads(output.read_text())["reason"] == "it is nan"
    assert json.loads(output.read_text())["fitness"] is None


@pytest.mark.parametrize(("accuracy", "error"), [(1.0, 0.0935), (0.5, 0.1336)])
def test_the_accuracy_on_held_out_pairs_has_a_standard_error(
    tmp_path: Path, accuracy: float, error: float
) -> None:
    pairs = [pair(prompt_id=f"p{place}", split="eval") for place in range(10)]
    pairs += [pair(prompt_id=f"t{place}", split="train") for place in range(3)]
    table = write_pairs(tmp_path / "pairs.parquet", pairs)
    outcome, metrics = tmp_path / "outcome.json", tmp_path / "metrics.jsonl"
    outcome.write_text('{"trained": true, "reason": null, "seconds": 1.0}')
    metrics.write_text(json.dumps({"eval_rewards/accuracies": accuracy}) + "\n")
    evaluate_discovered(outcome, metrics, table, "s", FitnessSettings(), tmp_path / "f.json")
    found = json.loads((tmp_path / "f.json").read_text())
    assert (found["fitness"], found["n"], found["reason"]) == (accuracy, 10, None)
    assert found["standard_error"] == pytest.approx(error, abs=1e-4)


ESTIMATE = {"value": 0.6, "low": 0.5, "high": 0.7, "n": 40}
FIGURES = {
    "speakers": {"s": {"win_rate": ESTIMATE, "mean": ESTIMATE, "wins": 7}},
    "rewards": {"my.reward": {"s": {"mean": ESTIMATE, "failed": 0}}},
}


@pytest.mark.parametrize("figure", ["win_rate", "mean", "my.reward", "speakers.{speaker}.win_rate"])
def test_a_figure_of_an_evaluation_has_the_standard_error_of_its_interval(figure: str) -> None:
    found = of_evaluation(FIGURES, "s", figure, "file")
    assert (found["fitness"], found["n"]) == (0.6, 40)
    assert found["standard_error"] == pytest.approx(0.2 / 2 / 1.96, rel=1e-4)


def test_a_number_has_no_standard_error_and_what_is_none_is_told() -> None:
    found = of_evaluation(FIGURES, "s", "speakers.{speaker}.wins", "file")
    assert found == {"fitness": 7.0, "standard_error": None, "n": 0}
    with pytest.raises(
        UserError, match=r"found nothing at speakers.s.corrected; .* win_rate, mean"
    ):
        of_evaluation(FIGURES, "s", "corrected", "file")
    with pytest.raises(UserError, match=r"speakers\.s is no number"):
        of_evaluation({"speakers": {"s": {"a": 1}}}, "s", "speakers.s", "file")


def test_a_proposers_text_cannot_end_what_it_stands_in() -> None:
    assert _plain("a|b\n# c `d`") == r"a\|b \# c \`d\`"
    assert "```" not in _fenced("x = 1\n```\n# Not code")


def test_errors_of_a_training_are_told_apart_from_those_of_its_loss() -> None:
    from wim.settings.training import TrainingSettings
    from wim.training.steps import not_finite

    assert OF_THE_LOSS.match(str(not_finite("loss is nan at step 3", TrainingSettings())))
    assert OF_THE_LOSS.match("mine: found the shape () for 4 pairs; return one")
    assert not OF_THE_LOSS.match("results/models/a: cannot be written (No space left on device)")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"arm": "none"}, "discovery.arm: found 'none', which is not defined under arms"),
        ({"proposer": {}}, "found neither of model and file"),
        ({"proposer": {"model": "gpt"}}, "found 'gpt', which is not defined under models"),
        ({"fitness": {"figure": "win_rate"}}, "write one of accuracy, margin, loss, kl"),
        ({"fitness": {"evaluation": "e"}}, "found 'e', which is not defined under evaluations"),
        ({"baselines": ["slic", "slic"]}, "write each once"),
        ({"baselines": ["exo_pair"]}, "discovery.baselines"),
        ({"sampling": {"temperature": 0}, "proposer": {"model": "smollm2"}}, "proposed again"),
    ],
)
def test_settings_that_discover_nothing_are_told(settings: dict[str, Any], told: str) -> None:
    known = {"arm": "wim", "proposer": {"file": "p.jsonl"}}
    with pytest.raises(UserError) as refused:
        load_config({"discovery": {**known, **settings}})
    assert told in str(refused.value)


def test_an_online_arm_has_no_table_of_pairs_to_discover_with() -> None:
    arms = {"live": {"reward": "wim", "method": "online_dpo"}}
    with pytest.raises(UserError, match="which makes its pairs while it trains"):
        load_config({"arms": arms, "discovery": {"arm": "live", "proposer": {"file": "p"}}})


def test_candidates_are_the_baselines_then_the_generations() -> None:
    settings = DiscoverySettings.model_validate(
        {"arm": "a", "proposer": {"file": "p"}, "baselines": ["slic"], "generations": 2}
    )
    assert settings.candidates == ["slic", "generation1", "generation2"]
    assert settings.policies == {}
