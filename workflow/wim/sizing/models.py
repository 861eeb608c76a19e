"""Which architecture each model of a configuration has."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wim import paths
from wim.dag.inputs import Inputs
from wim.dag.models import Models
from wim.errors import UserError
from wim.sizing.architecture import KNOWN, Architecture, known_model
from wim.sizing.folders import is_model, model_of_folder

if TYPE_CHECKING:
    from wim.settings.config import Config

STAGED = Path(paths.MODELS)


def models_of(
    config: "Config", given: Mapping[str, Architecture], in_all: Architecture | None
) -> dict[str, Architecture]:
    """The architectures by name, of the models that the configuration's stages run on this side.

    A model of `given` is taken before what is found, and `in_all` replaces each language model.
    Otherwise a model is known by its staged folder, by the folder that its source names, or
    by a known model's name in its source. Raises UserError for models known by none of these.
    """
    speakers = Models(Inputs(config, Path())).of_stages
    names = [
        name
        for name in (*speakers, config.embeddings.encoder)
        if config.models[name].engine != "endpoint"
    ]
    if strange := set(given) - set(names):
        raise UserError(
            f"--model: found {', '.join(sorted(strange))}, which no stage runs; write one of "
            f"{', '.join(dict.fromkeys(names))} before the =."
        )
    replaced = {name: in_all for name in speakers if in_all}
    found: dict[str, Architecture] = {}
    unknown = []
    for name in dict.fromkeys(names):
        model = given.get(name) or replaced.get(name)
        model = model or _found(name, config.models[name].source)
        if model is None:
            unknown.append(name)
        else:
            found[name] = model
    if unknown:
        raise UserError(
            "\n".join(_how_to_tell(name, config.models[name].source) for name in unknown)
        )
    return found


def _found(name: str, source: str) -> Architecture | None:
    kind, _, place = source.partition(":")
    folders = [STAGED / name, *([Path(place).expanduser()] if kind == "path" else [])]
    for folder in folders:
        if is_model(folder):
            return model_of_folder(folder, name)
    model = known_model(source)
    # Staging turns GGUF weights into float32.
    return replace(model, file_dtype="float32") if model and place.endswith(".gguf") else model


def _how_to_tell(name: str, source: str) -> str:
    return (
        f"models.{name}: found the source '{source}', of no known shape and not staged; stage it "
        f"with `snakemake {STAGED / name}/manifest.json`, or write --model {name}=<a folder, or one "
        f"of {', '.join(each.name for each in KNOWN)}>."
    )


def model_named(text: str) -> Architecture:
    """A known model, or that of a folder with config.json and safetensors."""
    if is_model(Path(text)):
        return model_of_folder(Path(text), Path(text).name)
    model = known_model(text)
    if model is None:
        raise UserError(
            f"--model: found '{text}'; write a model's folder or one of "
            f"{', '.join(each.name for each in KNOWN)}, or describe the model by --parameters, "
            "--layers and --hidden."
        )
    return model
