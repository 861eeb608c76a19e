"""The stages of an evaluation by questions of several turns: the answers, and what is said of them."""

from pathlib import Path
from typing import TYPE_CHECKING

from wim.prompts.expected import CHARACTERS, Prompts
from wim.settings.evaluated import evaluated_policy
from wim.settings.sampling import Sampling
from wim.sizing.architecture import Architecture
from wim.sizing.hours import decoding_seconds, reading_seconds
from wim.sizing.memory import Memory, generation_memory
from wim.sizing.stage import CHAT, Sizing, Stage, share, stage_of

if TYPE_CHECKING:
    from wim.settings.prompts import PromptSettings

# Tokens of the judge's templates.
TEMPLATE = 220
# What is assumed of files that are not on this machine: those of MT-Bench.
QUESTIONS, TURNS, TOKENS = 80, 2, 60


def sized_questions(settings: "PromptSettings") -> Prompts:
    """The turns of all questions, mean tokens of a turn, and the longest question's, all its turns."""
    files = ", ".join(settings.files)
    if not all(Path(name).exists() for name in settings.files):
        assumed = f"assumed, for want of {files}"
        return Prompts(QUESTIONS * TURNS, float(TOKENS), 10 * TOKENS, assumed)
    from wim.evaluation.questions import question_prompts
    from wim.prompts.questions import question_of

    prompts = question_prompts(settings, "eval", None, ())
    turns = [question_of(prompt).turns for prompt in prompts][: settings.limit]
    characters = [len(text) for each in turns for text in each]
    longest = max(sum(map(len, each)) for each in turns)
    return Prompts(
        len(characters),
        sum(characters) / len(characters) / CHARACTERS,
        -(-longest // CHARACTERS),
        f"turns of {files}",
    )


def answer_questions(sizing: Sizing, policy: str, model: Architecture) -> Stage:
    """A speaker that answers every turn; half of what it may write precedes a turn, on average."""
    settings = sizing.config.policy_dialogues(policy)
    answer = settings.sampling.max_new_tokens
    lengths = sizing.prompts.mean * 1.5 + answer / 2, sizing.prompts.longest + answer
    rows = sizing.prompts.count
    named = ("generate_dialogues", policy, settings.actor)
    return _writing(sizing, named, model, settings.sampling, rows, lengths)


def judge_questions(sizing: Sizing, evaluation: str, model: Architecture, speakers: int) -> Stage:
    """A judge that grades every turn of every speaker, or compares it in both orders."""
    settings = sizing.config.evaluations[evaluation]
    judge = sizing.config.judges[str(settings.judge)]
    policy = evaluated_policy(evaluation, settings.reference)
    answer = sizing.config.policy_dialogues(policy).sampling.max_new_tokens
    single = settings.mode == "single"
    sides, rule = (1, "rate_candidates") if single else (2, "compare_candidates")
    calls = sizing.prompts.count * (speakers if single else 2 * (speakers - 1))
    # Of the first turn an answer is shown, of the second two.
    lengths = (
        TEMPLATE + 1.5 * (sizing.prompts.mean + sides * answer),
        TEMPLATE + sizing.prompts.longest + TURNS * sides * answer,
    )
    return _writing(sizing, (rule, evaluation, judge.model), model, judge.sampling, calls, lengths)


def _writing(
    sizing: Sizing,
    named: tuple[str, str, str],
    model: Architecture,
    sampling: Sampling,
    rows: int,
    lengths: tuple[float, float],
) -> Stage:
    """A stage that writes texts.

    Args:
        sizing: The configuration's.
        named: The rule, what it is of, and the model's name in the configuration.
        model: The architecture.
        sampling: How it writes.
        rows: How many texts, in all jobs.
        lengths: Tokens before a text: the mean, and of the longest.
    """
    rule, of, name = named
    assumed, jobs = sizing.assumed, sizing.config.prompts.shards
    packed, dtype = sizing.quantization(name), sizing.dtype(name)
    new = sizing.new_tokens(name, sampling)
    mean, longest = lengths[0] + CHAT, round(lengths[1]) + CHAT

    def memory(batch: int) -> Memory:
        whole = sampling.temperature > 0 and (not sampling.top_k or sampling.top_p < 1)
        return generation_memory(model, batch, longest, new, dtype, packed, whole_vocabulary=whole)

    batch = min(assumed.batches[rule], share(rows, jobs))
    seconds = reading_seconds(model, rows * mean, dtype, assumed.speed)
    seconds += jobs * decoding_seconds(
        model, share(rows, jobs), batch, mean, new, dtype, packed, assumed.speed
    )
    return stage_of(rule, of, model, batch, memory, model.file_bytes, rows, jobs, seconds, assumed)
