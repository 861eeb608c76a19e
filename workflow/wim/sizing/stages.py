"""The stages of a configuration that run a model and train none."""

from collections.abc import Iterator
from dataclasses import replace

from wim.prompts.expected import Prompts, prompts_of
from wim.settings.dialogues import DialogueSettings
from wim.settings.evaluated import Evaluated, checkpoint_of, is_written, speakers_of
from wim.sizing.architecture import Architecture
from wim.sizing.benchmarks import benchmarks_of
from wim.sizing.hours import decoding_seconds, reading_seconds
from wim.sizing.memory import Memory, encoding_memory, generation_memory, weights_bytes
from wim.sizing.questions import answer_questions, judge_questions, sized_questions
from wim.sizing.stage import CHAT, Sizing, Stage, share, stage_of

# Tokens of the judge's templates; of "Nothing is missing" and of a number.
TEMPLATE, CHOICE = 120, 6


def stages_of(sizing: Sizing) -> Iterator[Stage]:
    """Each stage that runs a model, for one round, with nothing in the row store.

    Models behind an API need no GPU here and are left out.
    """
    config = sizing.config
    for policy in ("base", *config.policies):
        if actor := sizing.model(config.policy_dialogues(policy).actor):
            yield _generate(sizing, policy, actor)
    rows = sizing.prompts.count * config.dialogues.candidates
    rating = {name: config.judges[name] for name in config.consulted_judges}
    for judge, settings in rating.items():
        if model := sizing.model(settings.model):
            yield rate(sizing, judge, model, rows)
    for comparison, of in config.comparisons.items():
        if compares := sizing.model(config.judges[of.judge].model):
            counts = [config.policy_dialogues(policy).candidates for policy in of.between]
            pairs = counts[0] * counts[1] if len(counts) > 1 else counts[0] * (counts[0] - 1) // 2
            rows = sizing.prompts.count * min(pairs, of.per_context or pairs)
            yield _compare(sizing, comparison, of.judge, compares, rows)
    for judge in (name for name, each in rating.items() if each.template_paths):
        yield embed(sizing, judge, rows, config.judges[judge].samples)
    for name, evaluation in config.evaluations.items():
        if evaluation.by_harness:
            yield from benchmarks_of(sizing, name)
        else:
            yield from _evaluation(sizing, name)


def _evaluation(sizing: Sizing, name: str) -> Iterator[Stage]:
    """The answers of an evaluation's speakers, and what is said of them."""
    speakers = [Evaluated(name, speaker) for speaker in speakers_of(sizing.config, name)]
    yield from answers_and_judgements(sizing, name, speakers)


def answers_and_judgements(
    sizing: Sizing, name: str, speakers: list[Evaluated], compared: int | None = None
) -> Iterator[Stage]:
    """The answers of some speakers of an evaluation, and what is said of them.

    compared: how many of them a judge of pairs compares with the reference; None: all but one.
    """
    config, settings = sizing.config, sizing.config.evaluations[name]
    prompts = _prompts_of_evaluation(sizing, name)
    own = replace(sizing, prompts=prompts)
    for each in speakers:
        model = own.model(config.policy_dialogues(each.policy).actor)
        if model and not is_written(config, each):
            generate = answer_questions if settings.kind == "mt_bench" else _generate
            yield generate(own, each.policy, model)
        discovered = config.discovery is not None and each.policy in config.discovery.policies
        trained = checkpoint_of(config, each.speaker) is not None or discovered
        if model and settings.measures_kl and trained:
            yield _measure_kl(own, each.policy, model)
    rewards = [settings.reward] if settings.reward else settings.rewards
    if settings.of_rewards:
        rewards = settings.rewards or list(config.rewards)
    rows = prompts.count * len(speakers)
    for judge in {judge: None for reward in rewards for judge in config.judges_of(reward)}:
        if model := own.model(config.judges[judge].model):
            yield rate(own, judge, model, rows)
    if settings.judge and (model := own.model(config.judges[settings.judge].model)):
        if settings.kind == "mt_bench":
            yield judge_questions(own, name, model, len(speakers))
            return
        pairs = prompts.count * (len(speakers) - 1 if compared is None else compared)
        yield _compare(own, name, settings.judge, model, pairs)


def _prompts_of_evaluation(sizing: Sizing, name: str) -> Prompts:
    """The prompts of an evaluation: its own, or those that are held out."""
    settings = sizing.config.evaluations[name]
    of_files = settings.own_prompts(name)
    if of_files is None:
        held_out = round(sizing.prompts.count * sizing.config.prompts.eval_fraction)
        return replace(sizing.prompts, count=max(1, held_out))
    return sized_questions(of_files) if settings.kind == "mt_bench" else prompts_of(of_files)


def _generate(sizing: Sizing, policy: str, model: Architecture) -> Stage:
    config, prompts, assumed = sizing.config, sizing.prompts, sizing.assumed
    rule, settings = "generate_dialogues", config.policy_dialogues(policy)
    sampling = settings.sampling
    packed, dtype = sizing.quantization(settings.actor), sizing.dtype(settings.actor)
    rows, jobs = prompts.count * settings.rows_per_prompt, config.prompts.shards
    # What was said before precedes a turn; on average that is half of the dialogue.
    # Reasoning is no part of what later turns are given.
    new = sizing.new_tokens(settings.actor, sampling)
    said = (_turns(settings) - 1) * sampling.max_new_tokens
    prompt, beside = prompts.mean + CHAT + said / 2, _partner(sizing, settings)

    def memory(batch: int) -> Memory:
        return generation_memory(
            model,
            batch,
            prompts.longest + CHAT + said,
            new,
            dtype,
            packed,
            whole_vocabulary=sampling.temperature > 0
            and (not sampling.top_k or sampling.top_p < 1),
        ).beside(beside)

    batch = min(assumed.batches[rule], share(rows, jobs))
    seconds = reading_seconds(model, rows * prompt, dtype, assumed.speed)
    seconds += jobs * decoding_seconds(
        model, share(rows, jobs), batch, prompt, new, dtype, packed, assumed.speed
    )
    of, host = "" if policy == "base" else policy, model.file_bytes + beside
    return stage_of(rule, of, model, batch, memory, host, rows, jobs, seconds, assumed)


def _measure_kl(sizing: Sizing, policy: str, model: Architecture) -> Stage:
    """A checkpoint and the model that it started from, which read its answers one by one."""
    config, prompts, assumed = sizing.config, sizing.prompts, sizing.assumed
    rule, settings = "measure_kl", config.policy_dialogues(policy)
    packed, dtype = sizing.quantization(settings.actor), sizing.dtype(settings.actor)
    new = sizing.new_tokens(settings.actor, settings.sampling)
    longest, weights = prompts.longest + CHAT + new, weights_bytes(model, dtype, packed)

    def memory(batch: int) -> Memory:
        # The logits of both models at all positions.
        return generation_memory(
            model, batch, longest, CHOICE, dtype, packed, lookahead=2 * longest
        ).beside(weights)

    tokens = 2 * prompts.count * (prompts.mean + CHAT + new)
    seconds = reading_seconds(model, tokens, dtype, assumed.speed)
    host, batch = 2 * model.file_bytes, assumed.batches[rule]
    return stage_of(*(rule, policy, model, batch, memory, host, prompts.count, 1, seconds, assumed))


def _turns(settings: DialogueSettings) -> int:
    return 1 if settings.second is None else 2 * settings.exchanges


def _partner(sizing: Sizing, settings: DialogueSettings) -> float:
    """Bytes of the partner's weights, where it is another model on the same GPU."""
    partner, origin_of = settings.second or settings.actor, sizing.config.origin_of
    model = sizing.model(partner)
    if model is None or origin_of(partner) == origin_of(settings.actor):
        return 0.0
    return weights_bytes(model, sizing.dtype(partner), sizing.quantization(partner))


def rate(sizing: Sizing, judge: str, model: Architecture, rows: int) -> Stage:
    """A judge that rates N candidates, each as often as it has samples."""
    config, prompts, assumed = sizing.config, sizing.prompts, sizing.assumed
    settings, jobs = config.judges[judge], config.prompts.shards
    rule = "rate_candidates" if settings.samples == 1 else "rate_samples"
    rule = "rate_aspects" if settings.aspects else rule
    rule = rule if settings.label is None else "rate_by_label"
    rows *= settings.samples
    packed, dtype = sizing.quantization(settings.model), sizing.dtype(settings.model)
    new = sizing.new_tokens(settings.model, settings.sampling)
    critique = settings.sampling.max_new_tokens
    around = CHAT + TEMPLATE + config.dialogues.sampling.max_new_tokens
    prompt = prompts.mean + around
    # The longest is what the number is read from, with the critique in view.
    longest = prompts.longest + around + critique + CHAT

    def memory(batch: int) -> Memory:
        number = generation_memory(model, batch, longest, CHOICE, dtype, packed, lookahead=CHOICE)
        if new == critique:
            return number
        first = prompts.longest + around
        return max(number, generation_memory(model, batch, first, new, dtype, packed), key=_total)

    batch = min(assumed.batches[rule], share(rows, jobs))
    # Read for "nothing is missing", for the critique, and with the critique for the number, or for
    # the number of each aspect.
    times = 1 + len(settings.aspects) if settings.aspects else 3
    numbers = max(1, len(settings.aspects))
    read = times * prompt + numbers * (critique + CHAT)
    seconds = reading_seconds(model, rows * read, dtype, assumed.speed)
    seconds += jobs * decoding_seconds(
        model, share(rows, jobs), batch, prompt, new, dtype, packed, assumed.speed
    )
    host = model.file_bytes
    return stage_of(rule, judge, model, batch, memory, host, rows, jobs, seconds, assumed)


def _total(memory: Memory) -> float:
    return memory.total


def _compare(sizing: Sizing, of: str, judge: str, model: Architecture, rows: int) -> Stage:
    """A judge that compares N pairs, each in both orders."""
    config, prompts, assumed = sizing.config, sizing.prompts, sizing.assumed
    rule, jobs = "compare_candidates", config.prompts.shards
    name = config.judges[judge].model
    packed, dtype = sizing.quantization(name), sizing.dtype(name)
    around = CHAT + TEMPLATE + 2 * config.dialogues.sampling.max_new_tokens

    def memory(batch: int) -> Memory:
        return generation_memory(
            model,
            batch,
            prompts.longest + around,
            CHOICE,
            dtype,
            packed,
            lookahead=CHOICE,
        )

    batch = min(assumed.batches[rule], share(2 * rows, jobs))
    seconds = reading_seconds(model, 2 * rows * (prompts.mean + around), dtype, assumed.speed)
    host = model.file_bytes
    return stage_of(rule, of, model, batch, memory, host, rows, jobs, seconds, assumed)


def embed(sizing: Sizing, judge: str, candidates: int, samples: int = 1) -> Stage:
    """The encoder, one text at a time, for N candidates and what a judge says of each."""
    config, assumed = sizing.config, sizing.assumed
    jobs, rows = samples * config.prompts.shards, 2 * samples * candidates
    rule = "embed_critiques"
    model = sizing.models[config.embeddings.encoder]
    texts = config.dialogues.sampling, config.judges[judge].sampling
    lengths = [min(model.longest, each.max_new_tokens) for each in texts]

    def memory(batch: int) -> Memory:
        return encoding_memory(model, batch, max(lengths))

    host = model.file_bytes + weights_bytes(model, model.file_dtype)
    tokens = rows * sum(lengths) / 2
    seconds = reading_seconds(model, tokens, model.file_dtype, assumed.speed, passes=rows)
    return stage_of(rule, judge, model, 1, memory, host, rows, jobs, seconds, assumed, most=1)
