"""Which files of a model's folder make the model: those that from_pretrained opens."""

import json
from pathlib import Path

from wim.errors import UserError
from wim.fetch.folders import file_names, is_inside

KEPT_SUFFIXES = (".json", ".safetensors", ".jinja", ".txt", ".model", ".tiktoken")
LICENCES = ("licen[sc]e*", "LICEN[SC]E*", "NOTICE*", "COPYING*", "USE_POLICY*")
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


def loadable_files(folder: Path, source: str) -> list[str]:
    """Names of the folder's files that load the model, relative to it, POSIX, sorted.

    These are configuration, tokenizer, safetensors weights and licence, and the folders that
    modules.json of sentence-transformers names. Pickles and Python code, which would run on
    loading, and other frameworks' files are left out.

    Args:
        folder: The model's folder.
        source: Where it comes from, for errors.

    Raises:
        UserError: There is no configuration or there are no safetensors weights, a shard is missing
            or broken, or the only weights are pickles.
    """
    if not (folder / "config.json").is_file():
        raise UserError(
            f"{source}: not a model directory, config.json is missing; found {_found(folder)}. "
            f"{_advice(folder)}"
        )
    if not _weights(folder, source):
        raise UserError(
            f"{source}: a model directory without weights; found {_found(folder)}. "
            f"{_advice(folder)}"
        )
    names = _kept(folder, source)
    for module in [*_modules(folder, source), "additional_chat_templates"]:
        names += [f"{module}/{name}" for name in _kept(folder / module, source)]
    return sorted(set(names))


def _kept(folder: Path, source: str) -> list[str]:
    """Names of the model's files directly in a folder, which may be missing."""
    if not folder.is_dir():
        return []
    weights = _weights(folder, source)
    paths = [path for path in folder.iterdir() if path.is_file() and path.name != "manifest.json"]
    pickles = sorted(path.name for path in paths if path.suffix in PICKLES)
    if pickles and not weights:
        raise UserError(f"{source}: {folder.name} has no safetensors weights. {_advice(folder)}")
    return [path.name for path in paths if _is_kept(path, weights)]


def _is_kept(path: Path, weights: list[str]) -> bool:
    if path.suffix == ".safetensors":
        # A repository may hold its weights twice, e.g. as consolidated.safetensors.
        return path.name in weights
    licence = any(path.match(pattern) for pattern in LICENCES)
    return not path.name.startswith(".") and (
        path.suffix in KEPT_SUFFIXES or (licence and path.suffix in ("", ".md"))
    )


def _weights(folder: Path, source: str) -> list[str]:
    """Names of a folder's safetensors weights as from_pretrained looks for them; maybe none."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        names = ["model.safetensors"]
    elif index.is_file():
        try:
            names = sorted(
                {str(name) for name in json.loads(index.read_bytes())["weight_map"].values()}
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{source}: {index.name} is not an index of shards ({error!r}); expected "
                '{"weight_map": {<tensor>: <file>}}. Fetch the file again.'
            ) from None
    else:
        return []
    missing = [name for name in names if not is_inside(name) or not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{source}: {index.name} names {len(names)} shards, of which {len(missing)} are "
            f"missing: {', '.join(missing[:3])}. Fetch the model again."
        )
    for name in names:
        _check_safetensors(folder / name, source)
    return names


def _check_safetensors(path: Path, source: str) -> None:
    """Open the header, which shows whether a file is cut off or a git-lfs pointer."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass
    except SafetensorError as error:
        raise UserError(
            f"{source}: {path.name} ({path.stat().st_size} bytes) is not a safetensors file "
            f"({error}). Fetch it again; in a git clone run `git lfs pull`."
        ) from None


def _modules(folder: Path, source: str) -> list[str]:
    """The folders of a sentence-transformers model's modules; the root itself is not named."""
    path = folder / "modules.json"
    if not path.is_file():
        return []
    try:
        names = [str(module["path"]) for module in json.loads(path.read_bytes())]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{source}: modules.json is not a list of modules ({error!r}); expected "
            '[{"path": <folder>, ...}, ...]. Fetch the file again.'
        ) from None
    for name in names:
        if not is_inside(name):
            raise UserError(
                f"{source}: modules.json names the folder '{name}' outside of the model. "
                "Do not use this model."
            )
    return [name for name in names if name not in ("", ".")]


def _found(folder: Path) -> str:
    names = file_names(folder)
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more if names else "no files"


def _advice(folder: Path) -> str:
    """What to do about a folder that is no model, by what is in it."""
    names = {path.name for path in folder.iterdir()}
    ggufs = sorted(name for name in names if name.endswith(".gguf"))
    if ggufs:
        return f"For a GGUF model write the file itself: path:<folder>/{ggufs[0]}."
    if "adapter_config.json" in names:
        return (
            "It is an adapter: merge it into its base model (peft: merge_and_unload, then "
            "save_pretrained) and write path:<that folder>."
        )
    pickles = sorted(name for name in names if Path(name).suffix in PICKLES)
    if pickles:
        return (
            f"Pickled weights ({', '.join(pickles[:3])}) can run code when they are opened, and "
            "are refused: save the model as safetensors (save_pretrained) where you trust it, "
            "and write path:<that folder>."
        )
    return (
        "Write a directory that has config.json and model.safetensors, or its shards and "
        "model.safetensors.index.json."
    )
