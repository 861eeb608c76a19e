"""The trainings of a configuration: what each needs of a card, of its host, and of time."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from wim.settings.optimization import OptimizationSettings
from wim.settings.sft import REFERENCES
from wim.sizing.architecture import Architecture
from wim.sizing.hours import decoding_seconds, training_seconds
from wim.sizing.memory import (
    Memory,
    adapter_parameters,
    generation_memory,
    training_memory,
    weights_bytes,
)
from wim.sizing.prompts import Prompts
from wim.sizing.stage import CHAT, PROCESS, Assumed, Stage, quantization_of, stage_of
from wim.sizing.stages import embed, rate

if TYPE_CHECKING:
    from wim.config import Config

# Of online DPO: completions that are drawn of a prompt.
DRAWN = 2


def trainings_of(
    config: "Config",
    models: Mapping[str, Architecture],
    prompts: Prompts,
    assumed: Assumed,
) -> Iterator[Stage]:
    """Each fine-tuning, reward model and arm, in its first round."""
    sizing = _Sizing(config, models, prompts, assumed)
    for name, sft in config.sft.items():
        policy = None if sft.completions == REFERENCES else config.policy_dialogues(sft.completions)
        rows, held_out = sizing.split(prompts.count * (policy.rows_per_prompt if policy else 1))
        work = round(rows * sft.prompts), held_out
        yield sizing.training("train_sft", name, name, sft, *work, sequences=1, reference=False)
    for name, of_pairs in config.reward_models.items():
        work = sizing.split(sizing.pairs(of_pairs.arm))
        yield sizing.training(
            *("train_reward_model", name, name, of_pairs, *work),
            reference=False,
            vocabulary=False,
        )
    for name, arm in config.arms.items():
        settings, start = config.arm_training(name), config.start_of(name)
        if arm.method == "online_dpo":
            yield sizing.online(name)
        else:
            yield sizing.training(
                "train_dpo", name, start, settings, *sizing.split(sizing.pairs(name))
            )


class _Sizing:
    """What all trainings of a configuration are sized with."""

    def __init__(
        self,
        config: "Config",
        models: Mapping[str, Architecture],
        prompts: Prompts,
        assumed: Assumed,
    ) -> None:
        self.config = config
        self.models = models
        self.prompts = prompts
        self.assumed = assumed

    def pairs(self, arm: str) -> int:
        """Pairs of an arm, one or all of each context."""
        candidates = self.config.dialogues.candidates
        every = self.config.arm_pairs(arm).select == "all"
        return self.prompts.count * (candidates * (candidates - 1) // 2 if every else 1)

    def split(self, rows: int) -> tuple[int, int]:
        """How many of some rows train, and how many are held out."""
        held_out = round(rows * self.config.prompts.eval_fraction)
        return rows - held_out, held_out

    def training(
        self,
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
        """A training of a model on rows of so many sequences, a prompt and a completion each."""
        model = self.models[self.config.origin_of(start)]
        memory = self._memory(settings, start, sequences, reference, vocabulary)
        each = sequences * min(settings.max_length, self.prompts.mean + CHAT + self._new)
        tokens, lora = each * settings.epochs, settings.lora is not None
        seconds = training_seconds(
            *(model, tokens * rows, tokens * held_out, lora, settings.gradient_checkpointing),
            *(settings.precision != "float32", self.assumed.speed, reference),
        )
        host = model.file_bytes + weights_bytes(model, _loaded_dtype(settings))
        work = (host, rows + held_out, 1, seconds, self.assumed)
        return stage_of(rule, of, model, self._batch(rule, settings), memory, *work)

    def online(self, arm: str) -> Stage:
        """Online DPO: the model that is trained, its judge and the encoder share a card."""
        config, prompts, assumed = self.config, self.prompts, self.assumed
        rule, settings, start = "train_online_dpo", config.arm_training(arm), config.start_of(arm)
        rows, _ = self.split(prompts.count)
        trained = self.training(rule, arm, start, settings, rows, 0)
        model, half = self.models[config.origin_of(start)], settings.precision != "float32"
        dtype, packed = "bfloat16" if half else "float32", quantization_of(config, start, assumed)
        drawn, (judge,) = (
            round(rows * DRAWN * settings.epochs),
            config.judges_behind(config.arms[arm].labelled_by),
        )
        seconds = trained.seconds + decoding_seconds(
            *(model, drawn, DRAWN * trained.batch, prompts.mean + CHAT, self._new, dtype, packed),
            assumed.speed,
        )
        beside: list[Stage] = []
        if (judges := config.origin_of(config.judges[judge].model)) in self.models:
            beside.append(rate(config, judge, self.models[judges], prompts, drawn, assumed))
        if config.judges[judge].template_paths:
            encoder = self.models[config.embeddings.encoder]
            beside.append(embed(config, judge, encoder, drawn, assumed))
        training = self._memory(settings, start, DRAWN, True, True)

        def memory(batch: int) -> Memory:
            longest = prompts.longest + CHAT
            drawing = generation_memory(model, DRAWN * batch, longest, self._new, dtype, packed)
            # The weights that draw are those that are trained.
            held = training(batch).in_turn(drawing.beside(-drawing.weights))
            for other in beside:
                held = held.in_turn(other.memory)
            return held

        seconds += sum(other.seconds for other in beside)
        host = sum(stage.host - PROCESS for stage in (trained, *beside))
        return stage_of(rule, arm, model, trained.batch, memory, host, rows, 1, seconds, assumed)

    @property
    def _new(self) -> int:
        return self.config.dialogues.sampling.max_new_tokens

    def _batch(self, rule: str, settings: OptimizationSettings) -> int:
        from wim.training.common import accumulation_steps

        return accumulation_steps(settings.batch_size, self.assumed.batches[rule], 1)[0]

    def _memory(
        self,
        settings: OptimizationSettings,
        start: str,
        sequences: int,
        reference: bool,
        vocabulary: bool,
    ) -> Callable[[int], Memory]:
        """The memory of a micro-batch of so many rows."""
        model, lora = self.models[self.config.origin_of(start)], settings.lora
        longest = min(settings.max_length, self.prompts.longest + CHAT + self._new)
        adapter = adapter_parameters(model, lora.rank, lora.target_modules) if lora else None
        packed = quantization_of(self.config, start, self.assumed) if lora else "none"

        def memory(batch: int) -> Memory:
            return training_memory(
                *(model, sequences * batch, longest, settings.precision != "float32", adapter),
                *(settings.gradient_checkpointing, packed),
                reference=reference,
                vocabulary=vocabulary,
            )

        return memory


def _loaded_dtype(settings: OptimizationSettings) -> str:
    return "bfloat16" if settings.lora and settings.precision != "float32" else "float32"
