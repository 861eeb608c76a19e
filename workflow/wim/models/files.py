"""Which files of a model's folder make the model: those that from_pretrained opens."""

import json
from pathlib import Path

from wim.errors import UserError
from wim.fetch.folders import file_names, is_inside

KEPT_SUFFIXES = (".json", ".safetensors", ".jinja", ".txt", ".model", ".tiktoken")
LICENCES = ("licen[sc]e*", "LICEN[SC]E*", "NOTICE*", "COPYING*", "USE_POLICY*")
# How opening an encoder fails.
UNUSABLE = (AttributeError, ImportError, LookupError, OSError, RuntimeError, TypeError, ValueError)
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


def loadable_files(folder: Path, source: str) -> list[str]:
    """Names of the folder's files that load the model, relative to it, POSIX, sorted.

    These are configuration, tokenizer, safetensors weights and licence, and the folders that
    modules.json of sentence-transformers names, which alone makes an encoder without a transformer.
    Pickles and Python code, which would run on loading, and other frameworks' files are left out.

    Args:
        folder: The model's folder.
        source: Where it comes from, for errors.

    Raises:
        UserError: There is no configuration or there are no safetensors weights, a shard is missing
            or broken, the only weights are pickles, or a module has code of its own.
    """
    modules, transformer = _modules(folder, source), (folder / "config.json").is_file()
    if not transformer and not modules:
        raise UserError(
            f"{source}: not a model directory, config.json is missing; found {_found(folder)}. "
            f"{_advice(folder)}"
        )
    if not any(_weights(folder / name, source) for name in ([""] if transformer else modules)):
        raise UserError(
            f"{source}: a model directory without weights; found {_found(folder)}. "
            f"{_advice(folder)}"
        )
    names = _kept(folder, source)
    for module in [*(name for name in modules if name != "."), "additional_chat_templates"]:
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
    """The folders of a sentence-transformers model's modules, "." for the model's own."""
    path = folder / "modules.json"
    if not path.is_file():
        return []
    try:
        modules = json.loads(path.read_bytes())
        names = [str(module["path"]) or "." for module in modules]
        kinds = [str(module.get("type", "")) for module in modules]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
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
    foreign = [kind for kind in kinds if kind and not kind.startswith("sentence_transformers.")]
    if foreign:
        raise UserError(
            f"{source}: modules.json names {foreign[0]}, which is code of the model's own and is not "
            "run; write an encoder of sentence-transformers' own modules."
        )
    return names


def _base(folder: Path) -> str:
    """The name of an adapter's base model in parentheses, where the adapter says it."""
    try:
        name = json.loads((folder / "adapter_config.json").read_bytes())["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return f" ({name})" if isinstance(name, str) and name else ""


def check_opens(folder: Path, source: str) -> None:
    """Raise UserError for a model that the installed libraries cannot open, as far as can be told.

    A transformer's type must be known; an encoder without one, which is small, is tried.
    """
    if not (folder / "config.json").is_file():
        _try_encoder(folder, source)
        return
    try:
        model_type = json.loads((folder / "config.json").read_bytes()).get("model_type")
    except (OSError, ValueError, AttributeError):
        return
    from transformers import CONFIG_MAPPING, __version__

    if isinstance(model_type, str) and model_type not in CONFIG_MAPPING:
        raise UserError(
            f"{source}: its config.json has the model_type {model_type}, which transformers "
            f"{__version__} does not know, and code of a model's own is not run. Install a newer "
            "transformers, or write models.<name>.serve with a server that knows it."
        )


def _try_encoder(folder: Path, source: str) -> None:
    from sentence_transformers import SentenceTransformer

    try:
        encoder = SentenceTransformer(
            str(folder), device="cpu", trust_remote_code=False, local_files_only=True
        )
        encoder.encode(["A text."])
    except UNUSABLE as error:
        raise UserError(
            f"{source}: sentence-transformers cannot encode a text with it ({error}); write "
            "another encoder."
        ) from None


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
            f"It is an adapter: write its base model{_base(folder)} as the source, and this one as "
            "models.<name>.adapter, which is merged into it."
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
