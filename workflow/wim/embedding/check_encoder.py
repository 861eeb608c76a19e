"""Refuse a model that is no sentence encoder."""

import json
import logging
from pathlib import Path

from wim.errors import UserError

logger = logging.getLogger(__name__)

# How architectures end whose hidden states predict the next token.
GENERATES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


def check_encoder(folder: Path) -> None:
    """Look at what a staged folder says about how it makes one vector of a text.

    sentence-transformers opens any transformer, and takes the mean of the tokens' vectors where
    modules.json does not say what to take. Of a model that generates text this mean orders nothing.

    Raises:
        UserError: It is a model that generates text, without modules.json. Any other model
            without that file is a warning.
    """
    config = folder / "config.json"
    if (folder / "modules.json").is_file() or not config.is_file():
        return
    named = json.loads(config.read_text(encoding="utf-8")).get("architectures") or ["unknown"]
    if named[0].endswith(GENERATES):
        raise UserError(
            f"{folder}: found a model that generates text ({named[0]}), without the modules.json of "
            "a sentence encoder; write one as embeddings.encoder, as "
            "hf:sentence-transformers/all-MiniLM-L6-v2@main."
        )
    logger.warning(
        "%s: it has no modules.json, so a text's vector is the mean of its tokens' vectors; take a "
        "sentence encoder if it was not trained for that",
        folder,
    )
