"""Asking by the batch API: each request once, whatever happens on the way."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.api_server import Fields, Reply, failed, last_message, said
from support.batch_server import BatchServer
from wim.engines.answers import Unanswered
from wim.engines.base import Completion, Request
from wim.engines.remote.engine import EndpointEngine
from wim.engines.transport.calls import Calls
from wim.engines.transport.submissions import FOLDER, Submissions
from wim.engines.transport.usage import Spent, UsageRecord, spending
from wim.errors import UserError
from wim.settings.named_models import NamedApi
from wim.settings.sampling import Sampling

DRAWN = Sampling(max_new_tokens=7, temperature=0.7)
QUESTIONS = [
    Request(f"key {number}", ({"role": "user", "content": f"question {number}"},), number)
    for number in range(20)
]
ANSWERS = {f"key {number}": f"answer to question {number}" for number in range(20)}
KEY = "sk-very-secret-0123456789"


def echo(fields: Fields, _: int) -> Reply:
    return said(f"answer to {last_message(fields)}")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchServer]:
    monkeypatch.setenv("SOME_KEY", KEY)
    with BatchServer(echo) as server:
        yield server


def engine(server: BatchServer, folder: Path, **api: object) -> EndpointEngine:
    settings = NamedApi.model_validate(
        {"url": server.url, "batch": True, "attempts": 3, "timeout": 20, "key_env": "SOME_KEY"}
        | api
    )
    (folder / "logs/rate_candidates").mkdir(parents=True, exist_ok=True)
    calls = Calls(
        *("far", server.url, settings),
        first_wait=0.001,
        usage=UsageRecord(folder / "logs/rate_candidates/000.usage.jsonl", "far"),
        submissions=Submissions(folder / "store"),
    )
    return EndpointEngine(calls, "far-1", settings.samples)


def answers(engine: EndpointEngine, requests: list[Request] = QUESTIONS) -> dict[str, Completion]:
    return {answer.key: answer for answer in engine.generate(requests, DRAWN)}


def texts(found: dict[str, Completion]) -> dict[str, str]:
    return {key: answer.text for key, answer in found.items()}


def times_answered(server: BatchServer) -> Counter[str]:
    return Counter(map(last_message, server.answered))


def submitted(folder: Path) -> list[Path]:
    return list((folder / "store" / FOLDER).glob("*.json"))


def test_all_requests_are_in_one_batch_and_each_has_its_answer(server, tmp_path: Path) -> None:
    model = engine(server, tmp_path)
    assert texts(answers(model)) == ANSWERS
    assert len(server.batches) == 1 and server.asked == []
    assert server.answered[0] == {
        **{"model": "far-1", "messages": [{"role": "user", "content": "question 0"}]},
        **{"max_tokens": 7, "temperature": 0.7, "top_p": 1.0, "seed": 0},
    }
    assert len(submitted(tmp_path)) == 1
    model.calls.close()
    assert submitted(tmp_path) == []


def test_a_batch_has_at_most_so_many_requests(server, tmp_path: Path) -> None:
    assert texts(answers(engine(server, tmp_path, batch_requests=8))) == ANSWERS
    sizes = [
        len(server.files[batch["input_file_id"]].splitlines()) for batch in server.batches.values()
    ]
    assert sorted(sizes) == [4, 8, 8]


def test_a_lone_request_is_sent_by_itself(server, tmp_path: Path) -> None:
    assert texts(answers(engine(server, tmp_path), QUESTIONS[:1])) == {"key 0": ANSWERS["key 0"]}
    assert server.batches == {} and len(server.asked) == 1


def test_results_that_were_not_kept_are_read_again_and_not_asked_again(
    server, tmp_path: Path
) -> None:
    first = engine(server, tmp_path).generate(QUESTIONS, DRAWN)
    some = {answer.key for answer, _ in zip(first, range(5), strict=False)}
    first.close()
    left = [request for request in QUESTIONS if request.key not in some]
    assert texts(answers(engine(server, tmp_path), left)) == {
        key: text for key, text in ANSWERS.items() if key not in some
    }
    assert len(server.batches) == 1
    assert set(times_answered(server).values()) == {1}


def test_the_tokens_of_a_batch_are_counted_once_by_the_batchs_price(server, tmp_path: Path) -> None:
    for _ in range(2):
        answers(engine(server, tmp_path))
    found = spending(tmp_path / "logs")["rate_candidates", "far"]
    assert found.batched == Spent(requests=20, prompts=220, answers=100)
    assert found.single == Spent()


def test_a_batch_that_was_created_without_an_answer_is_found_on_the_server(
    server, tmp_path: Path
) -> None:
    server.created = lambda batch: Reply(batch, part=3)
    assert texts(answers(engine(server, tmp_path))) == ANSWERS
    assert len(server.batches) == 1


def test_a_submission_without_its_batch_is_asked_anew(server, tmp_path: Path) -> None:
    answers(engine(server, tmp_path))
    (path,) = submitted(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"batch": None}))
    server.batches.clear()
    assert texts(answers(engine(server, tmp_path))) == ANSWERS
    assert len(server.batches) == 1


def test_an_error_of_a_row_leaves_the_others_answers(server, tmp_path: Path) -> None:
    def answer(fields: Fields, before: int) -> Reply:
        if last_message(fields) == "question 3":
            return failed(400, f"not with the key {KEY}")
        if last_message(fields) == "question 4" and not server.asked:
            return failed(500)
        return said("") if last_message(fields) == "question 5" else echo(fields, before)

    server.answer = answer
    found = answers(engine(server, tmp_path))
    bad = found.pop("key 3")
    assert isinstance(bad, Unanswered) and bad.reason == "status 400: not with the key [key]"
    assert texts(found) == {k: v for k, v in ANSWERS.items() if k != "key 3"} | {"key 5": ""}
    # A single row that failed in passing is sent by itself.
    assert [last_message(fields) for fields in server.asked] == ["question 4"]


def test_a_field_that_the_server_does_not_take_is_left_out_of_the_next_batch(
    server, tmp_path: Path
) -> None:
    def answer(fields: Fields, before: int) -> Reply:
        return failed(400, "Unknown parameter: 'seed'") if "seed" in fields else echo(fields, 0)

    server.answer = answer
    assert texts(answers(engine(server, tmp_path))) == ANSWERS
    assert len(server.batches) == 2
    # A job that was killed before it could keep them finds both batches.
    assert texts(answers(engine(server, tmp_path))) == ANSWERS
    assert len(server.batches) == 2


def test_what_an_expired_batch_has_not_answered_is_submitted_again(server, tmp_path: Path) -> None:
    server.status = "expired"
    seen: set[str] = set()

    def late(fields: Fields) -> bool:
        question = last_message(fields)
        first = question not in seen
        seen.add(question)
        return first and int(question.split()[1]) >= 10

    server.unanswered = late
    assert texts(answers(engine(server, tmp_path))) == ANSWERS
    assert len(server.batches) == 2
    assert set(times_answered(server).values()) == {1}


def test_a_refused_batch_ends_the_job_and_is_submitted_anew_by_the_next(
    server, tmp_path: Path
) -> None:
    server.status = "failed"
    with pytest.raises(UserError, match=r"batch_0 was refused.*Enqueued.*api.batch_requests"):
        answers(engine(server, tmp_path))
    server.status = "completed"
    assert texts(answers(engine(server, tmp_path))) == ANSWERS
    assert len(server.batches) == 2


def test_a_cancelled_batch_ends_the_job_and_the_next_asks_for_the_rest(
    server, tmp_path: Path
) -> None:
    server.status = "cancelled"
    server.unanswered = lambda fields: int(last_message(fields).split()[1]) >= 10
    with pytest.raises(UserError, match=r"batch_0 was cancelled on the server"):
        answers(engine(server, tmp_path))
    server.status, server.unanswered = "completed", lambda fields: False
    assert texts(answers(engine(server, tmp_path))) == ANSWERS
    assert set(times_answered(server).values()) == {1}


def test_a_batch_that_is_gone_ends_the_job_that_created_it_and_is_asked_anew_by_the_next(
    server, tmp_path: Path
) -> None:
    server.created = lambda batch: (server.batches.clear(), Reply(batch))[1]
    with pytest.raises(UserError, match="does not know batch batch_0 any more"):
        answers(engine(server, tmp_path))
    server.created = Reply
    assert texts(answers(engine(server, tmp_path))) == ANSWERS


def test_an_api_without_batches_is_named(server, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(server, "_upload", lambda content: failed(404, "no such page"))
    with pytest.raises(UserError, match=r"models.far.api.batch: .* has no batch API"):
        answers(engine(server, tmp_path))
    assert submitted(tmp_path) == []


def test_a_refused_key_is_named_by_its_variable(server, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(server, "_upload", lambda content: failed(401, f"bad key {KEY}"))
    with pytest.raises(UserError, match=r"refused the key .*SOME_KEY") as error:
        answers(engine(server, tmp_path))
    assert KEY not in str(error.value)


def test_a_signal_leaves_the_batch_to_the_next_job(server, tmp_path: Path, monkeypatch) -> None:
    from wim.engines.transport import concurrency

    monkeypatch.setattr(concurrency, "LAST_ANSWERS", 0.05)

    def leave(*_: Any) -> None:
        raise SystemExit(3)

    server.ready.clear()
    former = signal.signal(signal.SIGUSR1, leave)
    server.created = lambda batch: (signal.raise_signal(signal.SIGUSR1), Reply(batch))[1]
    try:
        with pytest.raises(SystemExit):
            answers(engine(server, tmp_path))
    finally:
        signal.signal(signal.SIGUSR1, former)
    server.ready.set()
    assert texts(answers(engine(server, tmp_path))) == ANSWERS
    assert len(server.batches) == 1
    assert KEY not in "".join(path.read_text() for path in submitted(tmp_path))
