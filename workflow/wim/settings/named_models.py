"""Settings of a model by its name under `models`: those of any model, and whether it is asked in batches.

They are apart from `wim.settings.models`, whose text decides trainings that are made already.
"""

from pydantic import Field

from wim.settings.models import DEMO_MODELS, ApiSettings, ModelSource

# What OpenAI's batch API takes at most.
BATCH_REQUESTS = 50_000


class NamedApi(ApiSettings):
    """How a model behind an OpenAI-compatible API is queried."""

    batch: bool = False
    """Whether an endpoint's requests are submitted as files to its batch API, which answers within
    24 hours, mostly at half the price. A job that was killed continues with the batches that it has
    submitted. It reruns nothing. Unit: none."""

    batch_requests: int = Field(default=BATCH_REQUESTS, ge=2, le=BATCH_REQUESTS)
    """Maximum number of requests in a batch; fewer where the API limits the tokens that wait in its
    queue. Unit: requests."""


class NamedModel(ModelSource):
    """A language model or a sentence encoder."""

    api: NamedApi | None = None
    """How an endpoint or a served model is queried. Unit: none."""


def without_batches(source: ModelSource) -> ModelSource:
    """A model that is queried at once, for work that does not wait for a batch."""
    if not isinstance(source, NamedModel) or source.api is None:
        return source
    api = source.api.model_copy(update={"batch": False})
    return source.model_copy(update={"api": api})


NAMED_DEMO_MODELS = {
    name: NamedModel.model_validate(source.model_dump()) for name, source in DEMO_MODELS.items()
}
