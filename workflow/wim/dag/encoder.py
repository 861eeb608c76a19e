"""Is the model that embeds texts a sentence encoder?

sentence-transformers opens any transformer, and takes the mean of the tokens' vectors where
modules.json does not say what to take. Of a model that generates text this mean orders nothing.
"""

import json
from pathlib import Path

from wim.dag.inputs import Inputs
from wim.dag.models import Models
from wim.errors import UserError

# How architectures end whose hidden states predict the next token.
GENERATES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


def check_encoder(inputs: Inputs) -> None:
    """Raise UserError if the encoder is a model that generates text, without modules.json."""
    name, folder = inputs.config.embeddings.encoder, _folder(inputs)
    architecture = _without_modules(folder) if folder else None
    if architecture and architecture.endswith(GENERATES):
        raise UserError(
            f"config: embeddings.encoder: found '{name}', a model that generates text "
            f"({architecture}), and {folder} has no modules.json of a sentence encoder; write a "
            "sentence encoder, as hf:sentence-transformers/all-MiniLM-L6-v2@main."
        )


def warnings_of_encoder(inputs: Inputs) -> list[str]:
    """A line about an encoder that does not say how it makes one vector of a text."""
    name, folder = inputs.config.embeddings.encoder, _folder(inputs)
    if not folder or not _without_modules(folder):
        return []
    return [
        f"config: embeddings.encoder: {name}: {folder} has no modules.json, so a text's vector is "
        "the mean of its tokens' vectors; take a sentence encoder if it was not trained for that."
    ]


def _folder(inputs: Inputs) -> Path | None:
    """The encoder's folder, if it is on this machine and the run uses it: as staged, or its source."""
    name = inputs.config.embeddings.encoder
    if name not in Models(inputs).encoders:
        return None
    staged = Path(inputs.manifest_of_model(name)).parent
    if staged.is_dir():
        return staged
    place = inputs.config.models[name].places.get("source")
    source = Path(inputs.file_at(place, f"models.{name}.source")) if place else None
    return source if source and source.is_dir() else None


def _without_modules(folder: Path) -> str | None:
    """The architecture of a transformer without modules.json; None of any other folder."""
    config = folder / "config.json"
    if (folder / "modules.json").is_file() or not config.is_file():
        return None
    try:
        values = json.loads(config.read_text(encoding="utf-8"))
    except ValueError:
        return None  # Staging says what is wrong with it.
    named = values.get("architectures") if isinstance(values, dict) else None
    return str(named[0]) if isinstance(named, list) and named else "a transformer"
