"""The data set's card, and its Croissant metadata (MLCommons, version 1.1)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wim.display.markdown import markdown_table
from wim.settings.exports import ExportSettings

CONFORMS = "http://mlcommons.org/croissant/1.1"
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
TYPES = {"string": "sc:Text", "double": "sc:Float", "int32": "sc:Integer", "bool": "sc:Boolean"}
WHAT = """\
Preference pairs, the preferred answers as completions, and ratings, made with AI feedback: a model
answered prompts, judges said what is missing from each answer and rated it, and a reward made of
that orders the answers. `score_*` are in the reward's own unit, and `margin` is their difference.
**The labels are a model's, not people's**; how far they agree with people is for a gate on labelled
pairs to say."""


@dataclass(frozen=True)
class DatasetFile:
    """A Parquet file of the data set.

    Attributes:
        config: pairs, completions or ratings.
        split: train or eval.
        path: From the data set's folder.
        rows: How many.
        sha256: 64 hex digits.
        columns: The type of each column, as Arrow names it.
    """

    config: str
    split: str
    path: str
    rows: int
    sha256: str
    columns: Mapping[str, str]


def dataset_card(
    files: Sequence[DatasetFile],
    settings: ExportSettings,
    made_by: Mapping[str, Any],
    sources: Mapping[str, int],
) -> str:
    """README.md of the data set, whose front matter the hub reads.

    Args:
        files: Its files.
        settings: Its name and licence.
        made_by: Models, judges and settings, as JSON.
        sources: How many prompts are of which source.
    """
    configs: dict[str, list[dict[str, str]]] = {}
    for file in files:
        configs.setdefault(file.config, []).append({"split": file.split, "path": file.path})
    front = {
        "pretty_name": settings.title,
        "license": settings.license or "unknown",
        "task_categories": ["text-generation"],
        "tags": ["preference", "dpo", "ai-feedback", "synthetic", "wim"],
        "configs": [
            {"config_name": name, "data_files": parts, **({"default": True} if not place else {})}
            for place, (name, parts) in enumerate(configs.items())
        ],
    }
    rows = [{"part": f.config, "split": f.split, "rows": f"{f.rows:,}"} for f in files]
    prompts = [{"source": name, "prompts": f"{count:,}"} for name, count in sorted(sources.items())]
    licence = (
        f"`{settings.license}`, as stated in `export.license`."
        if settings.license
        else "None is stated. Prompts and models have licences of their own, which may bind what "
        "is made with them; state one in `export.license` before publishing."
    )
    # JSON is YAML, and quotes whatever a name may hold.
    return "\n".join(
        [
            "---",
            *(f"{key}: {json.dumps(value)}" for key, value in front.items()),
            "---",
            "",
            f"# {settings.title}",
            "",
            WHAT,
            "",
            markdown_table(rows, left=2),
            "",
            "```python",
            "from datasets import load_dataset",
            "",
            'pairs = load_dataset("path/to/this/folder", "pairs", split="train")',
            "```",
            "",
            "## Prompts",
            "",
            markdown_table(prompts),
            "",
            "## Licence",
            "",
            licence,
            "",
            "## What made it",
            "",
            _fenced(json.dumps(made_by, indent=2, sort_keys=True)),
            "",
        ]
    )


def _fenced(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}json\n{text}\n{fence}"


def croissant(files: Sequence[DatasetFile], settings: ExportSettings) -> dict[str, Any]:
    """croissant.json of the data set."""
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": settings.name,
        "description": " ".join(WHAT.replace("**", "").split()),
        **({"license": settings.license} if settings.license else {}),
        "url": settings.url or f"https://huggingface.co/datasets/{settings.name}",
        "version": "1.0.0",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": file.path,
                "name": file.path,
                "contentUrl": file.path,
                "encodingFormat": "application/vnd.apache.parquet",
                "sha256": file.sha256,
            }
            for file in files
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": f"{file.config}_{file.split}",
                "name": f"{file.config}_{file.split}",
                "field": [
                    {
                        "@type": "cr:Field",
                        "@id": f"{file.config}_{file.split}/{name}",
                        "name": name,
                        "dataType": TYPES[kind],
                        "source": {
                            "fileObject": {"@id": file.path},
                            "extract": {"column": name},
                        },
                    }
                    for name, kind in file.columns.items()
                    if kind in TYPES
                ],
            }
            for file in files
        ],
    }
