"""Encode a shard's responses and critiques."""

from pathlib import Path

from wim.embedding.embed import embed_critiques
from wim.job import job, scratch_folder, store_folder

with job(snakemake) as spec:
    embed_critiques(
        dialogues=Path(snakemake.input.dialogues),
        ratings=Path(snakemake.input.ratings),
        manifest=Path(snakemake.input.manifest),
        judge=snakemake.wildcards.judge,
        store=store_folder(snakemake),
        scratch=scratch_folder(snakemake),
        output=Path(snakemake.output.embeddings),
        conversations=spec.get("judged") == "conversations",
        long=spec.get("long", "cut"),
        reasoning=spec.get("reasoning") == "judged",
    )
