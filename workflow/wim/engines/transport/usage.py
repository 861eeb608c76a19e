"""The tokens that servers counted, kept as they come beside the logs of the jobs that queried them.

A record is a file of JSON lines. Answers that a job took from the row store are in none, since no
server was asked for them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pydantic import BaseModel, ValidationError

from wim.atomic import whole_file

LOGS = Path("logs")
SUFFIX = ".usage.jsonl"


@dataclass(frozen=True)
class Spent:
    """What a model was queried for.

    Attributes:
        rows: Rows for which the store had no answer.
        requests: Responses, those included whose answer was of no use.
        uncounted: Those of them that came without a count of tokens.
        prompts: Tokens of prompts.
        cached: Those of them that the server had read before.
        answers: Tokens of answers, thinking included.
    """

    rows: int = 0
    requests: int = 0
    uncounted: int = 0
    prompts: int = 0
    cached: int = 0
    answers: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        mine, others = asdict(self), asdict(other)
        return Spent(**{name: mine[name] + others[name] for name in mine})


class _Details(BaseModel):
    cached_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Response(BaseModel):
    usage: _Usage | None = None


def spent_on(response: bytes) -> Spent:
    """The tokens of one response, by its `usage`."""
    try:
        usage = _Response.model_validate_json(response).usage
    except ValidationError:
        usage = None
    if usage is None or usage.prompt_tokens is None:
        return Spent(requests=1, uncounted=1)
    details = usage.prompt_tokens_details or _Details()
    return Spent(
        requests=1,
        prompts=usage.prompt_tokens,
        cached=details.cached_tokens or 0,
        answers=usage.completion_tokens or 0,
    )


class UsageRecord:
    """The record of one model of one job; the job's former runs are summed up in it."""

    def __init__(self, path: Path, model: str) -> None:
        """Nothing is written yet.

        Args:
            path: The file.
            model: The model's name under `models`.
        """
        self._path = path
        self._model = model
        self._opened = False

    def add(self, spent: Spent, batch: str | None = None) -> None:
        """Write down what was spent; of a batch once, however often its results are read.

        Args:
            spent: By one response, by a batch, or as rows.
            batch: The batch's id.
        """
        if not self._opened:
            self._open()
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(self._model, batch, spent))

    def _open(self) -> None:
        """Sum up the lines so far: of requests in one line, of batches in one each."""
        self._opened = True
        sums: dict[tuple[str, str | None], Spent] = {}
        for model, batch, spent in _lines(self._path):
            if batch is None:
                spent += sums.get((model, batch), Spent())
            sums[model, batch] = spent
        with whole_file(self._path) as partial:
            text = "".join(_line(model, batch, spent) for (model, batch), spent in sums.items())
            partial.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Spending:
    """What was spent on one model by one stage: by single requests, and by the batch API."""

    single: Spent = Spent()
    batched: Spent = Spent()

    @property
    def total(self) -> Spent:
        """Both together."""
        return self.single + self.batched


def spending(logs: Path = LOGS) -> dict[tuple[str, str], Spending]:
    """What each stage has spent on each model, by the records of a working directory."""
    found: dict[tuple[str, str], Spending] = {}
    known: set[str] = set()
    for path in sorted(logs.rglob(f"*{SUFFIX}")):
        stage = path.relative_to(logs).parts[0]
        for model, batch, spent in _lines(path):
            before = found.get((stage, model), Spending())
            if batch is None:
                found[stage, model] = Spending(before.single + spent, before.batched)
            elif batch not in known:
                found[stage, model] = Spending(before.single, before.batched + spent)
                known.add(batch)
    return found


def _line(model: str, batch: str | None, spent: Spent) -> str:
    counts = {name: value for name, value in asdict(spent).items() if value}
    return json.dumps({"model": model, **({"batch": batch} if batch else {}), **counts}) + "\n"


def _lines(path: Path) -> Iterator[tuple[str, str | None, Spent]]:
    """The model, the batch and the sum of each line; a line that a kill has torn is left out."""
    if not path.exists():
        return
    names = {field.name for field in fields(Spent)}
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line: Mapping[str, object] = json.loads(text)
            spent = Spent(**{name: int(str(line[name])) for name in names if name in line})
            batch = line.get("batch")
            yield str(line["model"]), None if batch is None else str(batch), spent
        except (ValueError, KeyError, TypeError):
            continue
