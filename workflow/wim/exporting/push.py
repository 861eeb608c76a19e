"""Upload a data set or a checkpoint to the Hugging Face hub, when a person says so."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wim.errors import UserError
from wim.fetch.hub import user_is_offline
from wim.models.manifest import NAME
from wim.models.opening import opened_folder
from wim.provenance.digest import digest_file

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CROISSANT = "croissant.json"
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
LICENCE = re.compile(r"^license:\s*(\S.*?)\s*$", re.MULTILINE)
NONE_STATED = {"unknown", '"unknown"'}
RESUME = "Run the same command again: what the hub has is not uploaded again."


@dataclass(frozen=True)
class Upload:
    """A folder and the repository that it goes to.

    Attributes:
        folder: A data set's folder of an export, or a checkpoint.
        repository: <owner>/<name>.
        kind: What the folder is.
        files: The files' paths from the folder, with their bytes.
        public: Whether a new repository is for everyone to see.
    """

    folder: Path
    repository: str
    kind: Literal["dataset", "model"]
    files: dict[str, int]
    public: bool

    @property
    def licence(self) -> str | None:
        """The licence that its card states."""
        card = self.folder / "README.md"
        text = card.read_text(encoding="utf-8") if card.is_file() else ""
        found = LICENCE.search(text.split("\n---", 1)[0])
        return None if found is None or found[1] in NONE_STATED else found[1].strip('"')


def prepare_upload(folder: Path, repository: str, public: bool) -> Upload:
    """What would be uploaded; nothing is sent.

    Raises:
        UserError: The folder is neither a data set nor a checkpoint, or not as its own list of
            digests says; or the repository's name is not one.
    """
    if not REPOSITORY.fullmatch(repository):
        raise UserError(
            f"wim push: found the repository '{repository}'; write <owner>/<name>, such as "
            "someone/wim-pairs."
        )
    if (folder / CROISSANT).is_file():
        kind: Literal["dataset", "model"] = "dataset"
        _check_dataset(folder)
    elif (folder / NAME).is_file():
        kind = "model"
        opened_folder(folder / NAME)
    else:
        raise UserError(
            f"{folder}: neither a data set nor a checkpoint; write the folder `dataset` that "
            f"`snakemake export` makes, which has {CROISSANT}, or a checkpoint's, which has {NAME}."
        )
    files = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part[0] == "." for part in path.relative_to(folder).parts)
    }
    return Upload(folder, repository, kind, files, public)


def _check_dataset(folder: Path) -> None:
    from wim.display.json_files import read_json

    for file in read_json(folder / CROISSANT)["distribution"]:
        path = folder / file["contentUrl"]
        if not path.is_file() or digest_file(path) != file["sha256"]:
            raise UserError(
                f"{path}: not the file that {CROISSANT} lists; delete {folder.parent} and run "
                "`snakemake export` again."
            )


def token_of(name: str) -> str:
    """The token in an environment variable. Raises UserError if there is none."""
    token = os.environ.get(name, "").strip()
    if not token:
        raise UserError(
            f"wim push: the environment variable {name} has no token; make one that may write at "
            f"https://huggingface.co/settings/tokens, and set {name}, or name another variable by "
            "--token-env."
        )
    return token


def push(upload: Upload, token: str, message: str) -> str:
    """Upload a folder in place of what has the same names; returns the repository's address.

    Files that the repository has already are skipped, so an upload that was stopped is continued.

    Args:
        upload: The folder and where it goes.
        token: The hub's, which is in no error message.
        message: Of the commit.

    Raises:
        UserError: The hub is not reached or refuses; or the repository is there, public, and
            `upload.public` is not set.
    """
    if user_is_offline():
        raise UserError("wim push: HF_HUB_OFFLINE is set; unset it, and run this again.")
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    with _errors_in_words(upload, token):
        _make_repository(api, upload)
        api.upload_folder(
            repo_id=upload.repository,
            repo_type=upload.kind,
            folder_path=upload.folder,
            allow_patterns=_exactly(upload.files),
            commit_message=message,
        )
    kinds = "datasets/" if upload.kind == "dataset" else ""
    return f"{api.endpoint}/{kinds}{upload.repository}"


def _exactly(names: Sequence[str] | dict[str, int]) -> list[str]:
    """Patterns that match these names alone."""
    return [re.sub(r"([*?\[])", r"[\1]", name) for name in names]


def _make_repository(api: "HfApi", upload: Upload) -> None:
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        found = api.repo_info(upload.repository, repo_type=upload.kind)
    except RepositoryNotFoundError:
        api.create_repo(upload.repository, repo_type=upload.kind, private=not upload.public)
        return
    if not found.private and not upload.public:
        raise UserError(
            f"wim push: {upload.repository} is there already, and everyone can see it; add "
            "--public to publish there, or write another name."
        )


@contextmanager
def _errors_in_words(upload: Upload, token: str) -> Iterator[None]:
    """Turn what the hub and the network answer into a UserError, without the token."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except UserError:
        raise
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        causes = _causes(error)
        status = next(
            (each.response.status_code for each in causes if isinstance(each, HfHubHTTPError)), None
        )
        said = "; ".join(dict.fromkeys(_first_line(each, token) for each in causes))
        raise UserError(f"wim push: {said}\n{_advice(status, upload)}") from None


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found


def _first_line(error: BaseException, token: str) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:3]) if lines else type(error).__name__
    return text.replace(token, "<token>")


def _advice(status: int | None, upload: Upload) -> str:
    owner = upload.repository.partition("/")[0]
    if status == 401:
        return "The hub does not take the token: it is mistyped, expired or withdrawn."
    if status == 403:
        return (
            f"The token may not write to {owner}: make one with the right to write there, or write "
            "a repository of your own."
        )
    if status == 404:
        return (
            f"There is no {upload.repository} that this token may see, and it could not be made; is "
            f"{owner} the name of a user or an organisation that you belong to?"
        )
    if status == 413 or status == 422:
        return "The hub refuses these files; its message is above."
    return f"{RESUME} HTTPS_PROXY and HF_ENDPOINT say how the hub is reached."
