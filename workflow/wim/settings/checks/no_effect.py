"""Settings without effect, and contrastive search where no API can do it."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from wim.settings.sampling import Sampling

if TYPE_CHECKING:
    from wim.settings.config import Config


def problems(config: "Config") -> Iterator[str]:
    """One line for each contrastive search that a server would have to do: no API has it."""
    for key, model, sampling in _samplings(config):
        if sampling.penalty_alpha and config.source_of(model).engine != "local":
            yield (
                f"{key}.penalty_alpha: found {sampling.penalty_alpha:g}, and '{model}' is queried "
                "through an API, which has no contrastive search; leave it out."
            )


def settings_without_effect(config: "Config", values: Mapping[str, Any]) -> Iterator[str]:
    """One line for each setting that was written in `values` and changes nothing.

    A value that is the default does not count: the embedded configuration writes them all.
    """
    for key, model, sampling in _samplings(config):
        written = _at(values, key)
        remote = config.source_of(model).engine != "local"
        for name in ("temperature", "top_p", "top_k"):
            if written.get(name) in (None, 0, Sampling.model_fields[name].default):
                continue
            if sampling.penalty_alpha and name != "top_k":
                yield f"{key}.{name}: has no effect under contrastive search (penalty_alpha)."
            elif sampling.temperature == 0 and name != "temperature" and not sampling.penalty_alpha:
                yield f"{key}.{name}: has no effect at temperature 0."
            elif remote and name == "top_k":
                yield f"{key}.top_k: has no effect on '{model}': APIs do not have it."
    if config.dialogues.candidates > 1 and not config.dialogues.sampling.random:
        yield (
            "dialogues.candidates: all candidates of a context are the same, as nothing is sampled "
            "at temperature 0 or by contrastive search; no pairs come of them."
        )
    for name in _at(values, "judges"):
        if config.judges[name].rates and not config.consulted_judges:
            yield f"judges.{name}: no reward reads a judge; only `snakemake ratings` lets it rate."
    encoder = config.embeddings.encoder
    for name in ("dtype", "attention"):
        if _at(values, f"models.{encoder}").get(name, "auto") != "auto":
            yield f"models.{encoder}.{name}: has no effect on a sentence encoder."


def _samplings(config: "Config") -> Iterator[tuple[str, str, Sampling]]:
    """Everything that samples: the key of its sampling, its model, and the sampling."""
    dialogues = config.dialogues
    yield "dialogues.sampling", dialogues.actor, dialogues.sampling
    if dialogues.second and dialogues.partner_sampling:
        yield "dialogues.partner_sampling", dialogues.second, dialogues.partner_sampling
    for name in config.policies:
        own = config.policy_dialogues(name)
        yield f"policies.{name}.sampling", own.actor, own.sampling
    topics = config.prompts.topics
    if topics:
        for name in topics.models or [dialogues.actor]:
            yield "prompts.topics.sampling", name, topics.sampling
    for name, judge in config.judges.items():
        yield f"judges.{name}.sampling", judge.model, judge.sampling


def _at(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The section of a dotted key as it was written."""
    place: Any = values
    for part in key.split("."):
        place = place.get(part) if isinstance(place, Mapping) else None
    return place if isinstance(place, Mapping) else {}
