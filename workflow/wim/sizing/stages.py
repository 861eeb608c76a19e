"""The stages of a configuration that run a model and train none, and then its trainings."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from wim.settings.dialogues import DialogueSettings
from wim.sizing.architecture import Architecture
from wim.sizing.hours import decoding_seconds, reading_seconds
from wim.sizing.memory import Memory, encoding_memory, generation_memory, weights_bytes
from wim.sizing.prompts import Prompts
from wim.sizing.stage import CHAT, Assumed, Stage, dtype_of, quantization_of, share, stage_of

if TYPE_CHECKING:
    from wim.config import Config

# Tokens of the judge's templates; of "Nothing is missing" and of a number.
TEMPLATE, CHOICE = 120, 6


def stages_of(
    config: "Config",
    models: Mapping[str, Architecture],
    prompts: Prompts,
    assumed: Assumed,
) -> Iterator[Stage]:
    """Each stage that runs a model, for one round, with nothing in the row store.

    What a model behind an API does takes no card here.
    """
    from wim.sizing.trainings import trainings_of

    for policy in ("base", *config.policies):
        if config.origin_of(config.policy_dialogues(policy).actor) in models:
            yield _generate(config, policy, models, prompts, assumed)
    rows = prompts.count * config.dialogues.candidates
    rating = {name: judge for name, judge in config.judges.items() if judge.rates}
    for judge, settings in rating.items():
        if (model := config.origin_of(settings.model)) in models:
            yield rate(config, judge, models[model], prompts, rows, assumed)
    for comparison, of in config.comparisons.items():
        compares = config.origin_of(config.judges[of.judge].model)
        if compares in models:
            yield _compare(config, comparison, models[compares], prompts, assumed)
    for judge in (name for name, each in rating.items() if each.template_paths):
        yield embed(config, judge, models[config.embeddings.encoder], rows, assumed)
    yield from trainings_of(config, models, prompts, assumed)


def _generate(
    config: "Config",
    policy: str,
    models: Mapping[str, Architecture],
    prompts: Prompts,
    assumed: Assumed,
) -> Stage:
    rule, settings = "generate_dialogues", config.policy_dialogues(policy)
    model, sampling = models[config.origin_of(settings.actor)], settings.sampling
    packed, dtype = (
        quantization_of(config, settings.actor, assumed),
        dtype_of(config, settings.actor),
    )
    rows, jobs = prompts.count * settings.rows_per_prompt, config.prompts.shards
    # What was said before stands in front of a turn; on average that is half of the dialogue.
    new, said = sampling.max_new_tokens, (_turns(settings) - 1) * sampling.max_new_tokens
    prompt, beside = prompts.mean + CHAT + said / 2, _partner(config, settings, models, assumed)

    def memory(batch: int) -> Memory:
        return generation_memory(
            *(model, batch, prompts.longest + CHAT + said, new, dtype, packed),
            whole_vocabulary=sampling.temperature > 0
            and (not sampling.top_k or sampling.top_p < 1),
        ).beside(beside)

    batch = min(assumed.batches[rule], share(rows, jobs))
    seconds = reading_seconds(model, rows * prompt, dtype, assumed.speed)
    seconds += jobs * decoding_seconds(
        *(model, share(rows, jobs), batch, prompt, new, dtype, packed, assumed.speed)
    )
    of, host = "" if policy == "base" else policy, model.file_bytes + beside
    return stage_of(rule, of, model, batch, memory, host, rows, jobs, seconds, assumed)


def _turns(settings: DialogueSettings) -> int:
    return 1 if settings.second is None else 2 * settings.exchanges


def _partner(
    config: "Config",
    settings: DialogueSettings,
    models: Mapping[str, Architecture],
    assumed: Assumed,
) -> float:
    """Bytes of the partner's weights, where it is another model on the same card."""
    name = config.origin_of(settings.second or settings.actor)
    if name == config.origin_of(settings.actor) or name not in models:
        return 0.0
    return weights_bytes(
        models[name], dtype_of(config, name), quantization_of(config, name, assumed)
    )


def rate(
    config: "Config",
    judge: str,
    model: Architecture,
    prompts: Prompts,
    rows: int,
    assumed: Assumed,
) -> Stage:
    """A judge that rates so many candidates."""
    rule, settings, jobs = "rate_candidates", config.judges[judge], config.prompts.shards
    packed, dtype = (
        quantization_of(config, settings.model, assumed),
        dtype_of(config, settings.model),
    )
    new = settings.sampling.max_new_tokens
    around = CHAT + TEMPLATE + config.dialogues.sampling.max_new_tokens
    prompt = prompts.mean + around
    # The longest is what the number is read from, with the critique in view.
    longest = prompts.longest + around + new + CHAT

    def memory(batch: int) -> Memory:
        return generation_memory(*(model, batch, longest, CHOICE, dtype, packed), lookahead=CHOICE)

    batch = min(assumed.batches[rule], share(rows, jobs))
    # Read for "nothing is missing", for the critique, and with the critique for the number.
    seconds = reading_seconds(model, rows * (3 * prompt + new + CHAT), dtype, assumed.speed)
    seconds += jobs * decoding_seconds(
        *(model, share(rows, jobs), batch, prompt, new, dtype, packed, assumed.speed)
    )
    host = model.file_bytes
    return stage_of(rule, judge, model, batch, memory, host, rows, jobs, seconds, assumed)


def _compare(
    config: "Config", comparison: str, model: Architecture, prompts: Prompts, assumed: Assumed
) -> Stage:
    rule, settings = "compare_candidates", config.comparisons[comparison]
    counts = [config.policy_dialogues(policy).candidates for policy in settings.between]
    all_pairs = counts[0] * counts[1] if len(counts) > 1 else counts[0] * (counts[0] - 1) // 2
    rows = prompts.count * min(all_pairs, settings.per_context or all_pairs)
    judge, jobs = config.judges[settings.judge], config.prompts.shards
    packed, dtype = quantization_of(config, judge.model, assumed), dtype_of(config, judge.model)
    around = CHAT + TEMPLATE + 2 * config.dialogues.sampling.max_new_tokens

    def memory(batch: int) -> Memory:
        return generation_memory(
            *(model, batch, prompts.longest + around, CHOICE, dtype, packed),
            lookahead=CHOICE,
        )

    # Each pair is read in both orders.
    batch = min(assumed.batches[rule], share(2 * rows, jobs))
    seconds = reading_seconds(model, 2 * rows * (prompts.mean + around), dtype, assumed.speed)
    host = model.file_bytes
    return stage_of(rule, comparison, model, batch, memory, host, rows, jobs, seconds, assumed)


def embed(
    config: "Config", judge: str, model: Architecture, candidates: int, assumed: Assumed
) -> Stage:
    """The encoder, for so many candidates and what a judge says of each."""
    rule, jobs, rows = "embed_critiques", config.prompts.shards, 2 * candidates
    texts = config.dialogues.sampling, config.judges[judge].sampling
    lengths = [min(model.longest, each.max_new_tokens) for each in texts]

    def memory(batch: int) -> Memory:
        return encoding_memory(model, batch, max(lengths))

    batch = min(assumed.batches[rule], share(rows, jobs))
    host = model.file_bytes + weights_bytes(model, model.file_dtype)
    tokens = rows * sum(lengths) / 2
    seconds = reading_seconds(model, tokens, model.file_dtype, assumed.speed)
    return stage_of(rule, judge, model, batch, memory, host, rows, jobs, seconds, assumed)
