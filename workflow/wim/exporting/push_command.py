"""`wim push`: upload a data set or a checkpoint to the Hugging Face hub."""

import argparse
import sys
from pathlib import Path

from wim.errors import UserError
from wim.exporting.push import Upload, prepare_upload, push, token_of

TOKEN = "HF_TOKEN"
SHOWN = 20


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of the command."""
    command.add_argument(
        "folder", type=Path, metavar="FOLDER", help="an export's `dataset`, or a checkpoint"
    )
    command.add_argument("repository", metavar="OWNER/NAME", help="the repository, made if needed")
    command.add_argument("--public", action="store_true", help="for everyone; without it private")
    command.add_argument("--yes", action="store_true", help="do not ask before uploading")
    command.add_argument(
        "-n", "--dry-run", action="store_true", help="only show what would be uploaded"
    )
    command.add_argument(
        "--token-env",
        default=TOKEN,
        metavar="NAME",
        help=f"the environment variable that has the hub's token ({TOKEN})",
    )
    command.add_argument(
        "--message", default="Upload by wim push", help="of the commit in the repository"
    )


def push_folder(arguments: argparse.Namespace) -> None:
    """Show what would be uploaded, ask, and upload."""
    upload = prepare_upload(arguments.folder, arguments.repository, arguments.public)
    _show(upload)
    if arguments.dry_run:
        print("Nothing was uploaded (--dry-run).")
        return
    token = token_of(arguments.token_env)
    if not arguments.yes:
        _ask(upload)
    print(push(upload, token, arguments.message))


def _show(upload: Upload) -> None:
    what = "data set" if upload.kind == "dataset" else "model"
    seen = "public: everyone can see it" if upload.public else "private"
    total = sum(upload.files.values())
    print(f"{upload.folder} -> the {what} {upload.repository} ({seen})")
    for name, size in list(upload.files.items())[:SHOWN]:
        print(f"{size / 1e6:>12.2f} MB  {name}")
    if len(upload.files) > SHOWN:
        print(f"{'':>12}     and {len(upload.files) - SHOWN} more")
    print(f"{total / 1e6:>12.2f} MB  in {len(upload.files)} files")
    if upload.licence is None:
        where = "export.license" if upload.kind == "dataset" else "its README.md"
        print(f"No licence is stated; {where} is the place for one.")
    print("README.md names the sources and models as the configuration does; read it first.")


def _ask(upload: Upload) -> None:
    if not sys.stdin.isatty():
        raise UserError("wim push: there is nobody to ask; add --yes to upload without asking.")
    print(f"Write {upload.repository} to upload:")
    if input().strip() != upload.repository:
        raise UserError("wim push: nothing was uploaded.")
