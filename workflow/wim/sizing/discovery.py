"""The stages of a discovery of losses: proposals, a training of each, and its evaluation."""

from collections.abc import Iterator
from dataclasses import replace

from wim.settings.evaluated import Evaluated
from wim.sizing.architecture import Architecture
from wim.sizing.hours import decoding_seconds, reading_seconds
from wim.sizing.memory import Memory, generation_memory
from wim.sizing.stage import CHAT, Sizing, Stage, stage_of
from wim.sizing.stages import answers_and_judgements
from wim.sizing.trainings import pairs_of, split_rows, training_stage

# Tokens of the proposer's task, and of a proposal with what became of it.
TASK, PROPOSAL = 700, 300


def discovery_of(sizing: Sizing) -> Iterator[Stage]:
    """The stages of `snakemake discovery`, with as many proposals as are asked for at most."""
    found, config = sizing.config.discovery, sizing.config
    if found is None:
        return
    if found.proposer.model and (model := sizing.model(found.proposer.model)):
        yield _proposals(sizing, model)
    settings, start = config.arm_training(found.arm), config.start_of(found.arm)
    work = split_rows(sizing, pairs_of(sizing, found.arm))
    each = training_stage(sizing, "train_discovered", found.arm, start, settings, *work)
    number = len(found.candidates)
    yield replace(each, rows=number * each.rows, jobs=number, seconds=number * each.seconds)
    if (name := found.fitness.evaluation) is None:
        return
    if config.evaluations[name].by_harness:
        return
    candidates = [Evaluated(*policy.split("@", 1)) for policy in found.policies]
    stages = list(answers_and_judgements(sizing, name, candidates, compared=number))
    alike = [stage for stage in stages if stage.of in found.policies]
    for rule in dict.fromkeys(stage.rule for stage in alike):
        of_rule = [stage for stage in alike if stage.rule == rule]
        yield replace(
            of_rule[0],
            of=f"{name}@discovered",
            rows=sum(stage.rows for stage in of_rule),
            jobs=sum(stage.jobs for stage in of_rule),
            seconds=sum(stage.seconds for stage in of_rule),
        )
    yield from (stage for stage in stages if stage.of not in found.policies)


def _proposals(sizing: Sizing, model: Architecture) -> Stage:
    """A model that proposes one loss after the other, and reads the archive before each."""
    found, assumed = sizing.config.discovery, sizing.assumed
    assert found is not None and found.proposer.model is not None
    rule, name = "propose_loss", found.proposer.model
    packed, dtype = sizing.quantization(name), sizing.dtype(name)
    new = sizing.new_tokens(name, found.sampling)
    rows = found.generations * found.attempts
    prompt = CHAT + TASK + PROPOSAL * (len(found.baselines) + found.history)

    def memory(batch: int) -> Memory:
        return generation_memory(model, batch, prompt, new, dtype, packed)

    seconds = reading_seconds(model, rows * prompt, dtype, assumed.speed)
    seconds += decoding_seconds(model, rows, 1, prompt, new, dtype, packed, assumed.speed)
    work = (rows, found.generations, seconds, assumed, 1)
    return stage_of(rule, name, model, 1, memory, model.file_bytes, *work)
