"""A generation's proposal: asked again until one is valid, or the attempts are used up."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from wim.display.json_files import write_json
from wim.engines.answers import Unanswered
from wim.engines.base import Engine, Request
from wim.engines.staged import StagedModel
from wim.errors import UserError
from wim.experiments.discovery.answers import read_answer, whole_characters
from wim.experiments.discovery.archive import Archived, best_of, read_archive
from wim.experiments.discovery.messages import messages
from wim.own_loss.check import Limits, check_text
from wim.own_loss.expressions import shortened
from wim.own_loss.parse import parse_loss
from wim.provenance.digest import seed_of
from wim.settings.discovery import ProposingSettings
from wim.tables.schemas import Message
from wim.templates import Templates, read_templates

logger = logging.getLogger(__name__)
Proposer = Callable[[Sequence[Message], int], str | None]
"""The answer to messages, in the attempt of a number over all generations; None: there is no more."""


@dataclass(frozen=True)
class Attempt:
    """An answer of the proposer: what could be read of it, and why it is not valid, if it is not."""

    answer: str
    thought: str | None = None
    name: str | None = None
    code: str | None = None
    digest: str | None = None
    reason: str | None = None


def propose_loss(
    models: Sequence[StagedModel],
    recorded: Path | None,
    archive: Path,
    templates: Sequence[Path],
    settings: ProposingSettings,
    beta: float,
    generation: int,
    seed: int,
    output: Path,
) -> None:
    """Write the attempts of a generation: JSON with `attempts`, of which the last may be valid.

    Answers of a model that the store has are not asked for again.

    Args:
        models: The model that proposes; none with recorded proposals.
        recorded: A file of answers, one in each line.
        archive: What was tried before.
        templates: Those of the messages.
        settings: Those of the discovery.
        beta: The beta that losses are checked with.
        generation: Its number, from 1.
        seed: The run's.
        output: The file.

    Raises:
        UserError: A server does not answer, or the model has no room for the conversation.
    """
    from wim.engines.stored import open_engines

    before = read_archive(archive)
    with ExitStack() as opened:
        if recorded is not None:
            proposer = _recorded(recorded)
        else:
            (engine,) = open_engines(opened, models)
            proposer = _of_model(engine, settings, generation, seed)
        found = attempts(proposer, before, read_templates([*templates]), settings, beta, generation)
    for number, attempt in enumerate(found, 1):
        logger.info(
            "generation %d, attempt %d: %s: %s",
            *(generation, number, shortened(attempt.name or "no proposal")),
            attempt.reason or "valid",
        )
    parent = best_of(before, settings.fitness.direction)
    write_json(
        output,
        {"attempts": [asdict(each) for each in found], "parent": parent and parent.digest},
    )


def attempts(
    proposer: Proposer,
    before: Sequence[Archived],
    templates: Templates,
    settings: ProposingSettings,
    beta: float,
    generation: int,
) -> list[Attempt]:
    """The attempts of a generation in their order; only the last one may be valid."""
    earlier = sum(1 for row in before if row.generation > 0)
    found: list[Attempt] = []
    for number in range(settings.attempts):
        shown = [*before, *(_as_archived(each, generation) for each in found)]
        answer = proposer(messages(shown, templates, settings), earlier + number)
        if answer is None:
            break
        found.append(_tried(answer, shown, settings, beta))
        if found[-1].reason is None:
            break
    return found


def _tried(
    answer: str, before: Sequence[Archived], settings: ProposingSettings, beta: float
) -> Attempt:
    """An answer, with why it is not valid: no loss, one that is known, or not fit for training."""
    attempt = Attempt(whole_characters(answer))
    try:
        proposal = read_answer(answer)
        attempt = replace(attempt, **vars(proposal))
        digest = parse_loss(proposal.code).digest
    except UserError as error:
        return replace(attempt, reason=str(error))
    attempt = replace(attempt, digest=digest)
    for row in before:
        if row.digest == digest:
            told = "" if row.fitness is None else f", with a fitness of {row.fitness:.6g}"
            reason = f"the same formula as {row.name}, which was tried before{told}"
            return replace(attempt, reason=reason)
    limits = Limits(settings.check_seconds, settings.check_memory)
    return replace(attempt, reason=check_text(proposal.code, None, beta, limits).problem)


def _as_archived(attempt: Attempt, generation: int) -> Archived:
    """An attempt of this generation that failed, as the next one is shown it."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("candidate", "parent", "fitness", "standard_error", "seconds")
    )
    return Archived(number=0, generation=generation, status="invalid", **nothing, **vars(attempt))


def _recorded(path: Path) -> Proposer:
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read as UTF-8 text ({error}); write one answer in each line."
        ) from None

    def answer(_: Sequence[Message], number: int) -> str | None:
        return lines[number] if number < len(lines) else None

    return answer


def _of_model(engine: Engine, settings: ProposingSettings, generation: int, seed: int) -> Proposer:
    def answer(asked: Sequence[Message], number: int) -> str | None:
        own_seed = seed_of(seed, "discovery", generation, number)
        while True:
            request = Request(str(number), tuple(asked), own_seed, about=f"generation {generation}")
            (found,) = engine.generate([request], settings.sampling)
            if isinstance(found, Unanswered):
                raise UserError(f"discovery: the proposer does not answer ({found.reason}).")
            if found.finish_reason != "context":
                return found.text
            # The system's and the first message stay; the oldest proposal and its result go.
            if len(asked) < 4:
                raise UserError(
                    "discovery: the proposer's context has no room for the archive; write fewer "
                    "baselines, or name a model with a longer context."
                )
            asked = [*asked[:2], *asked[4:]]

    return answer
