"""Models in the tasks of the harness: what each needs of a GPU, of its host, and of time."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from wim import paths
from wim.settings.evaluated import model_of, speakers_of
from wim.sizing.architecture import Architecture
from wim.sizing.hours import reading_seconds
from wim.sizing.memory import Memory, generation_memory
from wim.sizing.stage import Sizing, Stage, stage_of

# Assumed of a task whose data are not staged, and of every question: choices, and tokens of each.
QUESTIONS, CHOICES, TOKENS = 1000, 4, 512
# Tokens of an answer, where one is written: lm-eval's own bound.
ANSWER = 256


def benchmarks_of(sizing: Sizing, name: str) -> Iterator[Stage]:
    """The models of an evaluation by the harness."""
    config, assumed = sizing.config, sizing.assumed
    rule, rows = "run_harness", _questions(sizing, name) * CHOICES
    for speaker in speakers_of(config, name):
        origin = model_of(config, speaker)
        model = sizing.model(origin)
        if model is None:
            continue
        dtype, batch = sizing.dtype(origin), min(assumed.batches[rule], rows)
        seconds = reading_seconds(model, rows * TOKENS, dtype, assumed.speed)
        memory, host = partial(_memory, model, dtype), model.file_bytes
        of = f"{name}@{speaker}"
        yield stage_of(rule, of, model, batch, memory, host, rows, 1, seconds, assumed)


def _memory(model: Architecture, dtype: str, batch: int) -> Memory:
    """Of a batch: the logits of every token are read at once."""
    return generation_memory(model, batch, TOKENS, ANSWER, dtype, "none", lookahead=TOKENS)


def _questions(sizing: Sizing, name: str) -> int:
    """How many questions an evaluation has: of staged tasks their number."""
    settings = sizing.config.evaluations[name]
    staged = Path(paths.at(paths.HARNESS_TASKS, evaluation=name))
    try:
        tasks = json.loads(staged.read_text(encoding="utf-8"))["tasks"].values()
        counts = [int(task["questions"]) for task in tasks]
    except (OSError, ValueError, KeyError, TypeError):
        counts = [QUESTIONS] * len(settings.tasks)
    return sum(min(count, settings.limit or count) for count in counts)
