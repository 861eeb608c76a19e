"""A staged model as a job queries it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wim.engines.transport.usage import SUFFIX
from wim.job import scratch_folder, store_folder
from wim.provenance.digest import digest_of
from wim.settings.models import ModelSource


@dataclass(frozen=True)
class StagedModel:
    """A model by its manifest and its settings, and where its answers are kept.

    Attributes:
        manifest: The model's manifest.
        source: Its settings.
        store: The row store's folder.
        batch_size: Rows at once.
        scratch: Where a local model is copied before it is opened; see
            `wim.models.opening.opened_folder`.
        server_log: The log of a server that is started for the model, if it needs one.
        unopened: Whether it is never opened: what the store lacks then has no answer.
    """

    manifest: Path
    source: ModelSource
    store: Path
    batch_size: int = 1
    scratch: str | None = None
    server_log: Path | None = None
    unopened: bool = False

    @property
    def digest(self) -> str:
        """That of its manifest."""
        from wim.models.manifest import read_manifest

        return read_manifest(self.manifest).digest

    @property
    def identity(self) -> str:
        """Who answers, in the ids of rows: the model, and whether it thinks and is quantised."""
        answering = self.source.answering
        further = {key: answering[key] for key in ("thinking", "quantization") if key in answering}
        return digest_of([self.digest, further]) if further else self.digest

    @property
    def usage(self) -> Path | None:
        """Where the tokens that a server counts are written down: beside the server's log."""
        if self.server_log is None or self.unopened:
            return None
        return self.server_log.with_suffix(SUFFIX)

    @property
    def folder(self) -> Path:
        """The folder to open its files from: staged, or their copy on the node's own disk."""
        from wim.models.opening import opened_folder

        return opened_folder(self.manifest, self.scratch)


def unopened(models: Sequence[StagedModel]) -> list[StagedModel]:
    """Models that only look up what the store has, to count rows without computing any."""
    return [replace(model, unopened=True) for model in models]


def staged_models(snakemake: Any, manifests: Sequence[str]) -> list[StagedModel]:
    """The models that a rule calls, each server with a log of its own beside the rule's.

    manifests: in the order of the rule's untracked models.
    """
    log = Path(snakemake.log[0])
    return [
        StagedModel(
            manifest=Path(manifest),
            source=source,
            store=store_folder(snakemake),
            batch_size=snakemake.resources.batch_size,
            scratch=scratch_folder(snakemake),
            server_log=log.with_suffix(f".server{place or ''}.log"),
        )
        for place, (manifest, source) in enumerate(
            zip(manifests, snakemake.params.untracked.models, strict=True)
        )
    ]
