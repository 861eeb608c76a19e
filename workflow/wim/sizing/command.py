"""`wim size`: what to request from a cluster, before anything is run."""

import argparse
import json

from wim.dag.resources import BATCH_SIZES
from wim.errors import UserError
from wim.prompts.expected import prompts_of
from wim.settings.configfile import add_configfile, config_of
from wim.sizing.architecture import KNOWN, Architecture, described_model
from wim.sizing.discovery import discovery_of
from wim.sizing.hours import GPUS
from wim.sizing.models import model_named, models_of
from wim.sizing.size_text import as_json, assumptions, print_sizes
from wim.sizing.stage import Assumed, Sizing
from wim.sizing.stages import stages_of
from wim.sizing.trainings import trainings_of

SHAPE = ("parameters", "layers", "hidden", "heads", "kv_heads", "intermediate", "vocabulary")


def add_arguments(size: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_configfile(size)
    size.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="[NAME=]MODEL",
        help="a model's folder, or one of " + ", ".join(each.name for each in KNOWN) + "; in place "
        "of every language model, or of the one of this name under `models`",
    )
    shape = size.add_argument_group("a model by its shape, in place of every language model")
    for name in SHAPE:
        shape.add_argument(f"--{name.replace('_', '-')}", type=_count, metavar="N")
    size.add_argument(
        "--gpu", "--card", choices=GPUS, default=Assumed.gpu, help="the GPU (%(default)s)"
    )
    size.add_argument(
        "--efficiency",
        type=_share,
        default=Assumed.efficiency,
        metavar="SHARE",
        help="share of the GPU's published figures that is reached (%(default)s)",
    )
    size.add_argument(
        "--quantization",
        choices=("none", "nf4", "int8"),
        help="of every language model, in place of models.<name>.quantization",
    )
    size.add_argument(
        "--batch-size",
        action="append",
        type=_batch,
        default=[],
        metavar="RULE=N",
        help="rows, texts or pairs at once, as in `snakemake --set-resources RULE:batch_size=N`",
    )
    size.add_argument("--prompts", type=_count, metavar="N", help="in place of those found")
    size.add_argument("--prompt-tokens", type=_count, metavar="N", help="of each prompt")
    size.add_argument("--json", action="store_true", help="bytes, rows and hours for a program")


def run(arguments: argparse.Namespace) -> None:
    """Print memory, work, the lines for a profile, and what is assumed."""
    config = config_of(arguments.configfile)
    given_models, in_all = _given_models(arguments)
    models = models_of(config, given_models, in_all)
    prompts = prompts_of(config.prompts, arguments.prompts, arguments.prompt_tokens)
    assumed = Assumed(
        arguments.gpu,
        arguments.efficiency,
        arguments.quantization,
        {**BATCH_SIZES, **dict(arguments.batch_size)},
    )
    sizing = Sizing(config, models, prompts, assumed)
    stages = [*stages_of(sizing), *trainings_of(sizing), *discovery_of(sizing)]
    notes = list(assumptions(models, prompts, assumed))
    if arguments.json:
        print(json.dumps(as_json(stages, notes, assumed), indent=2))
        return
    print_sizes(stages, notes, assumed)


def _given_models(
    arguments: argparse.Namespace,
) -> tuple[dict[str, Architecture], Architecture | None]:
    """The models given by name, and the one in place of every language model."""
    given_models, in_all = {}, None
    for text in arguments.model:
        name, equals, model = text.partition("=")
        if equals:
            given_models[name] = model_named(model)
        else:
            in_all = model_named(text)
    shape = {name: getattr(arguments, name) for name in SHAPE}
    given = {name: value for name, value in shape.items() if value is not None}
    if given:
        if missing := [name for name in SHAPE[:3] if name not in given]:
            raise UserError(
                f"--{next(iter(given)).replace('_', '-')}: a model by its shape also needs "
                + ", ".join(f"--{name}" for name in missing)
                + "; its config.json has them."
            )
        in_all = described_model(**given)
    return given_models, in_all


def _share(text: str) -> float:
    return _number(text, 1.0, "a share above 0 and at most 1")


def _count(text: str) -> int:
    return int(_number(text, float("inf"), "a whole number, 1 or more", least=1))


def _batch(text: str) -> tuple[str, int]:
    rule, _, count = text.partition("=")
    if rule not in BATCH_SIZES:
        raise argparse.ArgumentTypeError(
            f"found {text!r}; write {' or '.join(BATCH_SIZES)}, =, rows"
        )
    return rule, _count(count)


def _number(text: str, most: float, expected: str, least: float = 1e-9) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not least <= value <= most or value == float("inf"):
        raise argparse.ArgumentTypeError(f"found {text!r}; write {expected}")
    return value
