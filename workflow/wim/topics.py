"""Topics of dialogues, proposed by the models themselves.

Proposals are numbered, and each is sampled with its own seed. They are considered in their order,
so that a proposal's acceptance depends only on those before it, and never on how many are wanted.
"""

import json
import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wim.atomic import whole_file
from wim.engines.answers import Unanswered
from wim.engines.base import Completion, Engine, Request
from wim.engines.failures import in_words
from wim.engines.staged import StagedModel
from wim.errors import UserError
from wim.progress import progress
from wim.provenance.digest import seed_of
from wim.settings.topics import TopicSettings
from wim.tables.schemas import WHOLLY_UNKNOWN
from wim.templates import Templates, read_templates

if TYPE_CHECKING:
    import numpy as np

    from wim.embedding.encoder import Encoded

logger = logging.getLogger(__name__)
# Queried together, however many are wanted: in bfloat16 a row may depend on its batch.
BLOCK = 64
LABEL = re.compile(
    r"^(?:[-*#\s]+|\d+[.)]\s*|(?:the )?(?:topic|title)(?: is)?\s*:\s*)+", re.IGNORECASE
)
QUOTES = "\"'\u201c\u201d\u2018\u2019*_` "


@dataclass(frozen=True)
class Topic:
    """A topic, the number of its proposal, and the digest of the model that proposed it."""

    prompt: str
    proposal: int
    model_digest: str


def choose_topics(
    engines: Sequence[Engine],
    model_digests: Sequence[str],
    encode: "Callable[[Sequence[str]], Encoded]",
    templates: Templates,
    settings: TopicSettings,
    seed: int,
) -> tuple[list[Topic], Counter[str]]:
    """The first `settings.number` topics, in the proposals' order, and why others were left out.

    There are fewer topics if the proposals are used up. The engines propose in turn. Proposals
    after the last topic are not counted.
    """
    topics: list[Topic] = []
    vectors: list[np.ndarray[tuple[int], np.dtype[np.float32]]] = []
    known: set[str] = set()
    left_out: Counter[str] = Counter()
    for number, answer, vector, unknown in _proposals(engines, encode, templates, settings, seed):
        text, cause = read_topic(answer, settings)
        if cause is None and unknown >= WHOLLY_UNKNOWN:
            cause = "unknown to the encoder"
        likeness = max((float(vector @ other) for other in vectors), default=-1.0)
        if cause is None and (text in known or likeness > settings.max_similarity):
            cause = "like an earlier one"
        if cause is not None:
            left_out[cause] += 1
            continue
        topics.append(Topic(text, number, model_digests[number % len(engines)]))
        vectors.append(vector)
        known.add(text)
        if len(topics) == settings.number:
            break
    return topics, left_out


def read_topic(answer: Completion, settings: TopicSettings) -> tuple[str, str | None]:
    """The topic in an answer, without marks and labels around it, and why it is rejected, if so."""
    if isinstance(answer, Unanswered) or answer.finish_reason == "context":
        return "", "without an answer"
    lines = [line for line in answer.text.splitlines() if line.strip()]
    text = " ".join(LABEL.sub("", lines[0].strip(QUOTES)).strip(QUOTES).split()) if lines else ""
    words = len(text.split())
    if answer.finish_reason == "length" and len(lines) < 2:
        return text, "cut off"
    if words < settings.min_words:
        return text, "too short"
    if words > settings.max_words:
        return text, "too long"
    return text, None


def _proposals(
    engines: Sequence[Engine],
    encode: "Callable[[Sequence[str]], Encoded]",
    templates: Templates,
    settings: TopicSettings,
    seed: int,
) -> "Iterator[tuple[int, Completion, np.ndarray[tuple[int], np.dtype[np.float32]], float]]":
    """Numbered answers, with the vectors of their texts and the shares of tokens that are unknown."""
    content = templates.render("topic", min_words=settings.min_words, max_words=settings.max_words)
    blocks = math.ceil(settings.number * settings.proposals / BLOCK)
    for start in range(0, blocks * BLOCK, BLOCK):
        answers: dict[int, Completion] = {}
        for place, engine in enumerate(engines):
            numbers = [each for each in range(start, start + BLOCK) if each % len(engines) == place]
            requests = [
                Request(str(n), ({"role": "user", "content": content},), seed_of(seed, "topic", n))
                for n in numbers
            ]
            found = engine.generate(requests, settings.sampling)
            for answer in progress(found, len(requests), "topics", "row"):
                answers[int(answer.key)] = answer
        texts = {number: read_topic(answer, settings)[0] for number, answer in answers.items()}
        encoded = encode([texts[number] for number in sorted(answers)])
        for row, number in enumerate(sorted(answers)):
            yield number, answers[number], encoded.vectors[row], encoded.unknown[row]


def create_topics(
    models: Sequence[StagedModel],
    encoder: Path,
    template: Path,
    settings: TopicSettings,
    seed: int,
    output: Path,
) -> None:
    """Write the topics as JSON lines, which are read like any file of prompts.

    Proposals that the store has are not sampled again. If topics are missing, a warning says how
    many and why.

    Args:
        models: The models that propose.
        encoder: The folder of the encoder that compares topics.
        template: The template that asks for a topic.
        settings: Those of topics.
        seed: The run's.
        output: The file.

    Raises:
        UserError: There is no topic at all.
    """
    from wim.embedding.encoder import Encoder
    from wim.engines.stored import open_engines

    with ExitStack() as opened:
        engines = open_engines(opened, models)
        topics, left_out = choose_topics(
            engines,
            [model.identity for model in models],
            Encoder(encoder).encode,
            read_templates([template]),
            settings,
            seed,
        )
    causes = ", ".join(f"{count} {cause}" for cause, count in sorted(left_out.items())) or "none"
    read, computed = len(topics) + left_out.total(), sum(len(engine.computed) for engine in engines)
    logger.info(
        "topics: %d of %d wanted, from %d proposals, %d generated; left out: %s",
        len(topics),
        settings.number,
        read,
        computed,
        causes,
    )
    if len(topics) < settings.number:
        problem = (
            f"topics: {settings.number - len(topics)} of {settings.number} are missing after "
            f"{read} proposals; left out: {causes}. Raise prompts.topics.proposals, "
            "max_similarity or sampling.temperature, widen min_words and max_words, or name other "
            "models, or an encoder that knows their language."
        )
        reasons = [why for engine in dict.fromkeys(engines) for why in engine.unanswered.values()]
        if reasons:
            problem += f" Without an answer: {in_words(reasons)}."
        if not topics:
            raise UserError(problem)
        logger.warning("%s", problem)
    lines = [json.dumps(vars(topic), ensure_ascii=False) + "\n" for topic in topics]
    with whole_file(output) as partial:
        partial.write_text("".join(lines), encoding="utf-8")
