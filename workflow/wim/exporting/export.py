"""Write an arm's pairs, completions and ratings for other trainers, and as a data set."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wim.atomic import whole_folder
from wim.display.json_files import read_json
from wim.exporting.card import DatasetFile, croissant, dataset_card
from wim.exporting.formats import (
    AXOLOTL,
    FORMATS,
    Format,
    Row,
    llamafactory_info,
    plain_rating,
)
from wim.exporting.rows import (
    ExportedCompletion,
    ExportedLabel,
    ExportedPair,
    ExportedRating,
    best_completions,
    labels_of,
    read_exported_pairs,
    read_exported_ratings,
)
from wim.provenance.digest import digest_file
from wim.settings.exports import ExportSettings
from wim.tables.files import ROW_GROUP, read_tables
from wim.tables.schemas import PROMPTS

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)
SPLITS = ("train", "eval")


class ExportInputs(Protocol):
    """What is exported.

    Attributes:
        pairs: The pairs of an arm's round.
        prompts: The shards of prompts.
        dialogues, ratings: The candidates and judgements that the pairs are made of, all samples.
        aspects: The judgements in each aspect, of judges that rate several.
        rewards: <reward>.parquet.
        manifests: <model>/manifest.json of the models that answered, judged and encoded.
    """

    pairs: str
    prompts: Sequence[str]
    dialogues: Sequence[str]
    ratings: Sequence[str]
    aspects: Sequence[str]
    rewards: Sequence[str]
    manifests: Sequence[str]


def export_pairs(
    inputs: ExportInputs,
    settings: ExportSettings,
    made_by: Mapping[str, Any],
    output: Path,
) -> None:
    """Write a folder for each trainer, and `dataset/`; all appear whole or not at all.

    Args:
        inputs: The tables.
        settings: The data set's name and licence.
        made_by: The settings upstream of the pairs, for the card.
        output: The folder.
    """
    prompts = read_tables(
        [Path(path) for path in inputs.prompts], PROMPTS, ["prompt_id", "split", "source"]
    ).to_pylist()
    pairs = read_exported_pairs(Path(inputs.pairs))
    completions = best_completions(pairs)
    ratings = read_exported_ratings(
        dialogues=[Path(path) for path in inputs.dialogues],
        ratings=[Path(path) for path in inputs.ratings],
        aspects=[Path(path) for path in inputs.aspects],
        rewards=[Path(path) for path in inputs.rewards],
        splits={row["prompt_id"]: row["split"] for row in prompts},
    )
    labels = [] if settings.desirable_from is None else labels_of(ratings, settings.desirable_from)
    models = {Path(path).parent.name: _identity(Path(path)) for path in inputs.manifests}
    with whole_folder(output) as folder:
        for name in FORMATS:
            _write_format(folder / name, name, pairs, completions, labels)
        for split in SPLITS:
            rows = [plain_rating(each) for each in ratings if each.split == split]
            if rows:
                _write_lines(folder / "jsonl" / f"ratings_{split}.jsonl", rows)
        used = {pair.row["prompt_id"] for pair in pairs}
        sources = Counter(row["source"] for row in prompts if row["prompt_id"] in used)
        _write_dataset(
            folder / "dataset",
            _tables(pairs, completions, ratings),
            settings,
            {"models": models, **made_by},
            sources,
        )
    logger.info(
        "export: %d pairs, %d completions, %d ratings: %s",
        len(pairs),
        len(completions),
        len(ratings),
        output,
    )


def _identity(manifest: Path) -> dict[str, Any]:
    found = read_json(manifest)
    return {key: found[key] for key in ("source", "revision", "digest")}


def _write_format(
    folder: Path,
    name: str,
    pairs: Sequence[ExportedPair],
    completions: Sequence[ExportedCompletion],
    labels: Sequence[ExportedLabel],
) -> None:
    """The files of a trainer: pairs, completions and labelled answers, those held out apart."""
    form = FORMATS[name]
    folder.mkdir(parents=True)
    written = {}
    for split in SPLITS:
        for kind, rows in (
            ("pairs", [form.pair(each) for each in pairs if each.split == split]),
            ("completions", [form.completion(each) for each in completions if each.split == split]),
            ("labels", _labelled([each for each in labels if each.split == split], form)),
        ):
            if rows:
                file = folder / f"{kind}_{split}{form.suffix}"
                written[file.name] = kind
                if form.listed:
                    file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
                else:
                    _write_lines(file, rows)
    if name == "llamafactory":
        text = json.dumps(llamafactory_info(written), indent=2) + "\n"
        (folder / "dataset_info.json").write_text(text, encoding="utf-8")
    if name == "axolotl":
        (folder / "datasets.yaml").write_text(AXOLOTL, encoding="utf-8")


def _labelled(labels: Iterable[ExportedLabel], form: Format) -> list[Row]:
    """The labelled answers that a format has a row for."""
    if form.label is None:
        return []
    return [row for each in labels if (row := form.label(each)) is not None]


def _write_lines(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON value in each line, in ASCII: no character in a text ends a line."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _tables(
    pairs: Sequence[ExportedPair],
    completions: Sequence[ExportedCompletion],
    ratings: Sequence[ExportedRating],
) -> "dict[tuple[str, str], pa.Table]":
    """The data set's tables by part and split; those without rows are left out."""
    import pyarrow as pa

    message = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    found = {}
    for split in SPLITS:
        parts: dict[str, list[dict[str, Any]]] = {
            "pairs": [dict(each.row) for each in pairs if each.split == split],
            "completions": [
                {**FORMATS["trl"].completion(each), "prompt_id": each.prompt_id}
                for each in completions
                if each.split == split
            ],
            "ratings": [
                {"prompt": each.prompt, "completion": each.completion, **each.row, **_named(each)}
                for each in ratings
                if each.split == split
            ],
        }
        for name, rows in parts.items():
            if rows:
                table = pa.Table.from_pylist(rows)
                if "aspect" in table.column_names:
                    place = table.column_names.index("aspect")
                    table = table.set_column(place, "aspect", table["aspect"].cast(pa.string()))
                for column in ("prompt", "chosen", "rejected"):
                    if column in table.column_names:
                        place = table.column_names.index(column)
                        table = table.set_column(place, column, table[column].cast(message))
                found[name, split] = table
    return found


def _named(rating: ExportedRating) -> dict[str, float | None]:
    return {f"reward_{name}": value for name, value in rating.rewards.items()}


def _write_dataset(
    folder: Path,
    tables: "Mapping[tuple[str, str], pa.Table]",
    settings: ExportSettings,
    made_by: Mapping[str, Any],
    sources: Mapping[str, int],
) -> None:
    """A folder that the hub takes as it is: Parquet files, the card and Croissant metadata."""
    import pyarrow.parquet as pq

    files = []
    for (name, split), table in sorted(tables.items()):
        path = folder / name / f"{split}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, compression="zstd", row_group_size=ROW_GROUP)
        files.append(
            DatasetFile(
                config=name,
                split=split,
                path=path.relative_to(folder).as_posix(),
                rows=len(table),
                sha256=digest_file(path),
                columns={field.name: str(field.type) for field in table.schema},
            )
        )
    files.sort(key=lambda file: (file.config != "pairs", file.config, file.split != "train"))
    card = dataset_card(files, settings, made_by, sources)
    (folder / "README.md").write_text(card, encoding="utf-8")
    text = json.dumps(croissant(files, settings), indent=2) + "\n"
    (folder / "croissant.json").write_text(text, encoding="utf-8")
