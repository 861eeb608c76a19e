"""The trainings of a configuration: what each needs of a GPU, of its host, and of time."""

from collections.abc import Callable, Iterator

from wim.settings.optimization import OptimizationSettings
from wim.settings.sft import REFERENCES
from wim.sizing.hours import decoding_seconds, training_seconds
from wim.sizing.memory import (
    Memory,
    adapter_parameters,
    generation_memory,
    training_memory,
    weights_bytes,
)
from wim.sizing.stage import CHAT, PROCESS, Sizing, Stage, stage_of
from wim.sizing.stages import embed, rate

# Completions that online DPO generates for a prompt.
SAMPLED = 2


def trainings_of(sizing: Sizing) -> Iterator[Stage]:
    """Each fine-tuning, reward model and arm, in its first round."""
    config = sizing.config
    for name, sft in config.sft.items():
        policy = None if sft.completions == REFERENCES else config.policy_dialogues(sft.completions)
        each = policy.rows_per_prompt if policy else 1
        rows, held_out = split_rows(sizing, sizing.prompts.count * each)
        work = round(rows * sft.prompts), held_out
        yield training_stage(
            sizing, "train_sft", name, name, sft, *work, sequences=1, reference=False
        )
    for name, of_pairs in config.reward_models.items():
        work = split_rows(sizing, pairs_of(sizing, of_pairs.arm))
        given = "train_reward_model", name, name, of_pairs, *work
        yield training_stage(sizing, *given, reference=False, vocabulary=False)
    for name, arm in config.arms.items():
        if arm.method == "online_dpo":
            yield _online(sizing, name)
            continue
        settings, start = config.arm_training(name), config.start_of(name)
        work = split_rows(sizing, pairs_of(sizing, name))
        rule = "train_own_loss" if settings.own_loss else "train_dpo"
        yield training_stage(sizing, rule, name, start, settings, *work)


def pairs_of(sizing: Sizing, arm: str) -> int:
    """Pairs of an arm, one or all of each context."""
    candidates = sizing.config.dialogues.candidates
    every = sizing.config.arm_pairs(arm).select == "all"
    return sizing.prompts.count * (candidates * (candidates - 1) // 2 if every else 1)


def split_rows(sizing: Sizing, rows: int) -> tuple[int, int]:
    """How many of some rows train, and how many are held out."""
    held_out = round(rows * sizing.config.prompts.eval_fraction)
    return rows - held_out, held_out


def training_stage(
    sizing: Sizing,
    rule: str,
    of: str,
    start: str,
    settings: OptimizationSettings,
    rows: int,
    held_out: int,
    sequences: int = 2,
    reference: bool = True,
    vocabulary: bool = True,
) -> Stage:
    """A training of a model on rows of N sequences, a prompt and a completion each."""
    model = sizing.models[sizing.config.origin_of(start)]
    memory = _memory(sizing, settings, start, sequences, reference, vocabulary)
    each = sequences * min(settings.max_length, sizing.prompts.mean + CHAT + _new(sizing))
    tokens, lora = each * settings.epochs, settings.lora is not None
    seconds = training_seconds(
        model,
        tokens * rows,
        tokens * held_out,
        lora,
        settings.gradient_checkpointing,
        settings.precision != "float32",
        sizing.assumed.speed,
        reference,
    )
    host = model.file_bytes + weights_bytes(model, _loaded_dtype(settings))
    work = (host, rows + held_out, 1, seconds, sizing.assumed)
    return stage_of(rule, of, model, _batch(sizing, rule, settings), memory, *work)


def _online(sizing: Sizing, arm: str) -> Stage:
    """Online DPO: the model that is trained, its judge and the encoder share a GPU."""
    config, prompts, assumed = sizing.config, sizing.prompts, sizing.assumed
    rule, settings, start = "train_online_dpo", config.arm_training(arm), config.start_of(arm)
    rows, _ = split_rows(sizing, prompts.count)
    trained = training_stage(sizing, rule, arm, start, settings, rows, 0)
    model, half = sizing.models[config.origin_of(start)], settings.precision != "float32"
    dtype, packed = "bfloat16" if half else "float32", sizing.quantization(start)
    sampled = round(rows * SAMPLED * settings.epochs)
    seconds = trained.seconds + decoding_seconds(
        model,
        sampled,
        SAMPLED * trained.batch,
        prompts.mean + CHAT,
        _new(sizing),
        dtype,
        packed,
        assumed.speed,
    )
    beside: list[Stage] = []
    for judge in config.judges_of(config.arms[arm].labelled_by):
        if judges := sizing.model(config.judges[judge].model):
            beside.append(rate(sizing, judge, judges, sampled))
        if config.judges[judge].template_paths:
            beside.append(embed(sizing, judge, sampled))
    training = _memory(sizing, settings, start, SAMPLED, True, True)

    def memory(batch: int) -> Memory:
        longest = prompts.longest + CHAT
        sampling = generation_memory(model, SAMPLED * batch, longest, _new(sizing), dtype, packed)
        # The weights that sample are the ones being trained.
        held = training(batch).in_turn(sampling.beside(-sampling.weights))
        for other in beside:
            held = held.in_turn(other.memory)
        return held

    seconds += sum(other.seconds for other in beside)
    host = sum(stage.host - PROCESS for stage in (trained, *beside))
    return stage_of(rule, arm, model, trained.batch, memory, host, rows, 1, seconds, assumed)


def _new(sizing: Sizing) -> int:
    return sizing.config.dialogues.sampling.max_new_tokens


def _batch(sizing: Sizing, rule: str, settings: OptimizationSettings) -> int:
    from wim.training.steps import accumulation_steps

    return accumulation_steps(settings.batch_size, sizing.assumed.batches[rule], 1)[0]


def _memory(
    sizing: Sizing,
    settings: OptimizationSettings,
    start: str,
    sequences: int,
    reference: bool,
    vocabulary: bool,
) -> Callable[[int], Memory]:
    """The memory of a micro-batch of N rows."""
    model, lora = sizing.models[sizing.config.origin_of(start)], settings.lora
    longest = min(settings.max_length, sizing.prompts.longest + CHAT + _new(sizing))
    adapter = adapter_parameters(model, lora.rank, lora.target_modules) if lora else None
    packed = sizing.quantization(start) if lora else "none"

    def memory(batch: int) -> Memory:
        return training_memory(
            model,
            sequences * batch,
            longest,
            settings.precision != "float32",
            adapter,
            settings.gradient_checkpointing,
            packed,
            reference=reference,
            vocabulary=vocabulary,
        )

    return memory


def _loaded_dtype(settings: OptimizationSettings) -> str:
    return "bfloat16" if settings.lora and settings.precision != "float32" else "float32"
