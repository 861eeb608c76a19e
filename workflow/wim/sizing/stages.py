"""The stages of a configuration: what each needs of a card, of its host, and of time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wim.settings.precision import Quantization
from wim.sizing.architecture import Architecture
from wim.sizing.hours import (
    CARDS,
    Speed,
    decoding_seconds,
    reading_seconds,
    start_seconds,
    training_seconds,
)
from wim.sizing.memory import (
    Memory,
    adapter_parameters,
    encoding_memory,
    generation_memory,
    training_memory,
    weights_bytes,
)
from wim.sizing.prompts import Prompts

if TYPE_CHECKING:
    from wim.config import Config
    from wim.settings.training import TrainingSettings

# As in the rules: rows, texts or pairs that a job holds at once.
BATCHES = {
    **dict.fromkeys(("create_topics", "generate_dialogues", "rate_candidates"), 64),
    **{"compare_candidates": 64, "embed_critiques": 64},
    **dict.fromkeys(("train_dpo", "train_online_dpo", "train_sft", "train_reward_model"), 8),
}
# Tokens of the chat template; of the judge's templates; of "Nothing is missing" and of a number.
CHAT, TEMPLATE, CHOICE = 40, 120, 6
# Bytes of a process with torch and CUDA on the host.
PROCESS = 4e9
LARGEST = 1024


@dataclass(frozen=True)
class Assumed:
    """What the user tells of the machine; quantization: None as the configuration has it."""

    card: str = "a100-80"
    efficiency: float = 0.4
    quantization: Quantization | None = None
    batches: Mapping[str, int] = field(default_factory=lambda: BATCHES)

    @property
    def speed(self) -> Speed:
        """The card at the efficiency."""
        return Speed(CARDS[self.card], self.efficiency)


@dataclass(frozen=True)
class Stage:
    """A rule with one judge or arm.

    batch: rows, texts or pairs at once. largest: the greatest power of two of them that fits on
    the card, None if one is too many. host: bytes of main memory. rows: of all jobs together.
    """

    rule: str
    of: str
    model: str
    batch: int
    largest: int | None
    memory: Memory
    host: float
    rows: int
    jobs: int
    seconds: float

    @property
    def hours(self) -> float:
        """GPU-hours of all jobs."""
        return self.seconds / 3600


def stages_of(
    config: "Config",
    models: Mapping[str, Architecture],
    prompts: Prompts,
    assumed: Assumed,
) -> Iterator[Stage]:
    """Each stage that runs a model, for one round, with nothing in the row store.

    What a model behind an API does takes no card here.
    """
    actor = config.origin_of(config.dialogues.actor)
    if actor in models:
        yield _generate(config, models[actor], prompts, assumed)
    rating = {name: judge for name, judge in config.judges.items() if judge.rates}
    for judge, settings in rating.items():
        if (model := config.origin_of(settings.model)) in models:
            yield _rate(config, judge, models[model], prompts, assumed)
    for comparison, of in config.comparisons.items():
        compares = config.origin_of(config.judges[of.judge].model)
        if compares in models:
            yield _compare(config, comparison, models[compares], prompts, assumed)
    for judge in (name for name, each in rating.items() if each.template_paths):
        yield _embed(config, judge, models[config.embeddings.encoder], prompts, assumed)
    for arm in config.arms:
        yield _train(config, arm, models[actor], prompts, assumed)


def _generate(config: "Config", model: Architecture, prompts: Prompts, assumed: Assumed) -> Stage:
    rule, sampling = "generate_dialogues", config.dialogues.sampling
    packed = _packed(config, config.dialogues.actor, assumed)
    rows, jobs = prompts.count * config.dialogues.candidates, config.prompts.shards
    dtype = _dtype(config, config.dialogues.actor)
    new, prompt = sampling.max_new_tokens, prompts.mean + CHAT

    def memory(batch: int) -> Memory:
        return generation_memory(
            *(model, batch, prompts.longest + CHAT, new, dtype, packed),
            whole_vocabulary=sampling.temperature > 0
            and (not sampling.top_k or sampling.top_p < 1),
        )

    batch = min(assumed.batches[rule], _share(rows, jobs))
    seconds = reading_seconds(model, rows * prompt, dtype, assumed.speed)
    seconds += jobs * decoding_seconds(
        *(model, _share(rows, jobs), batch, prompt, new, dtype, packed, assumed.speed)
    )
    return _stage(rule, "", model, batch, memory, model.file_bytes, rows, jobs, seconds, assumed)


def _rate(
    config: "Config", judge: str, model: Architecture, prompts: Prompts, assumed: Assumed
) -> Stage:
    rule, settings = "rate_candidates", config.judges[judge]
    packed = _packed(config, settings.model, assumed)
    rows, jobs = prompts.count * config.dialogues.candidates, config.prompts.shards
    dtype, new = _dtype(config, settings.model), settings.sampling.max_new_tokens
    around = CHAT + TEMPLATE + config.dialogues.sampling.max_new_tokens
    prompt = prompts.mean + around
    # The longest is what the number is read from, with the critique in view.
    longest = prompts.longest + around + new + CHAT

    def memory(batch: int) -> Memory:
        return generation_memory(*(model, batch, longest, CHOICE, dtype, packed), lookahead=CHOICE)

    batch = min(assumed.batches[rule], _share(rows, jobs))
    # Read for "nothing is missing", for the critique, and with the critique for the number.
    seconds = reading_seconds(model, rows * (3 * prompt + new + CHAT), dtype, assumed.speed)
    seconds += jobs * decoding_seconds(
        *(model, _share(rows, jobs), batch, prompt, new, dtype, packed, assumed.speed)
    )
    return _stage(rule, judge, model, batch, memory, model.file_bytes, rows, jobs, seconds, assumed)


def _compare(
    config: "Config", comparison: str, model: Architecture, prompts: Prompts, assumed: Assumed
) -> Stage:
    rule, settings = "compare_candidates", config.comparisons[comparison]
    counts = [config.policy_dialogues(policy).candidates for policy in settings.between]
    all_pairs = counts[0] * counts[1] if len(counts) > 1 else counts[0] * (counts[0] - 1) // 2
    rows = prompts.count * min(all_pairs, settings.per_context or all_pairs)
    judge, jobs = config.judges[settings.judge], config.prompts.shards
    dtype, packed = _dtype(config, judge.model), _packed(config, judge.model, assumed)
    around = CHAT + TEMPLATE + 2 * config.dialogues.sampling.max_new_tokens

    def memory(batch: int) -> Memory:
        return generation_memory(
            *(model, batch, prompts.longest + around, CHOICE, dtype, packed),
            lookahead=CHOICE,
        )

    # Each pair is read in both orders.
    batch = min(assumed.batches[rule], _share(2 * rows, jobs))
    seconds = reading_seconds(model, 2 * rows * (prompts.mean + around), dtype, assumed.speed)
    host = model.file_bytes
    return _stage(rule, comparison, model, batch, memory, host, rows, jobs, seconds, assumed)


def _embed(
    config: "Config", judge: str, model: Architecture, prompts: Prompts, assumed: Assumed
) -> Stage:
    rule, jobs = "embed_critiques", config.prompts.shards
    rows = 2 * prompts.count * config.dialogues.candidates
    texts = config.dialogues.sampling, config.judges[judge].sampling
    lengths = [min(model.longest, each.max_new_tokens) for each in texts]

    def memory(batch: int) -> Memory:
        return encoding_memory(model, batch, max(lengths))

    batch = min(assumed.batches[rule], _share(rows, jobs))
    host = model.file_bytes + weights_bytes(model, model.file_dtype)
    tokens = rows * sum(lengths) / 2
    seconds = reading_seconds(model, tokens, model.file_dtype, assumed.speed)
    return _stage(rule, judge, model, batch, memory, host, rows, jobs, seconds, assumed)


def _train(
    config: "Config", arm: str, model: Architecture, prompts: Prompts, assumed: Assumed
) -> Stage:
    from wim.training.common import accumulation_steps

    rule, settings = "train_dpo", config.arm_training(arm)
    candidates, new = config.dialogues.candidates, config.dialogues.sampling.max_new_tokens
    every = config.arm_pairs(arm).select == "all"
    pairs = prompts.count * (candidates * (candidates - 1) // 2 if every else 1)
    held_out = round(pairs * config.prompts.eval_fraction)
    longest = min(settings.max_length, prompts.longest + CHAT + new)
    tokens = 2 * min(settings.max_length, prompts.mean + CHAT + new) * settings.epochs
    half = settings.precision != "float32"
    quantization = _packed(config, config.dialogues.actor, assumed)
    lora = settings.lora
    adapter = adapter_parameters(model, lora.rank, lora.target_modules) if lora else None

    def memory(batch: int) -> Memory:
        return training_memory(
            *(model, 2 * batch, longest, half, adapter, settings.gradient_checkpointing),
            quantization if lora else "none",
        )

    batch, _ = accumulation_steps(settings.batch_size, assumed.batches[rule], 1)
    seconds = training_seconds(
        *(model, tokens * (pairs - held_out), tokens * held_out, lora is not None),
        *(settings.gradient_checkpointing, half, assumed.speed),
    )
    host = model.file_bytes + weights_bytes(model, _loaded_dtype(settings))
    return _stage(rule, arm, model, batch, memory, host, pairs, 1, seconds, assumed)


def _stage(
    rule: str,
    of: str,
    model: Architecture,
    batch: int,
    memory: Callable[[int], Memory],
    loaded: float,
    rows: int,
    jobs: int,
    seconds: float,
    assumed: Assumed,
) -> Stage:
    room = CARDS[assumed.card].memory
    fitting = [size for size in _powers_of_two() if memory(size).total <= room]
    return Stage(
        *(rule, of, model.name, batch, max(fitting, default=None), memory(batch)),
        *(PROCESS + loaded, rows, jobs, seconds + start_seconds(jobs, model.file_bytes)),
    )


def _powers_of_two() -> list[int]:
    return [2**power for power in range(LARGEST.bit_length())]


def _share(rows: int, jobs: int) -> int:
    """Rows of one job."""
    return max(1, -(-rows // jobs))


def _packed(config: "Config", model: str, assumed: Assumed) -> Quantization:
    return assumed.quantization or config.source_of(model).quantization


def _dtype(config: "Config", model: str) -> str:
    dtype = config.source_of(model).dtype
    return "bfloat16" if dtype == "auto" else dtype


def _loaded_dtype(settings: "TrainingSettings") -> str:
    return "bfloat16" if settings.lora and settings.precision != "float32" else "float32"
