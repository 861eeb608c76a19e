"""`wim bundle` and `wim unpack`: a run taken to a machine without internet."""

import argparse
import sys
from pathlib import Path

from wim.errors import UserError

ARCHIVE = Path("wim-bundle.tar")


def add_bundle_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `wim bundle`."""
    command.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="what is to be run there, as in snakemake, such as: all reward_gate (all)",
    )
    command.add_argument(
        "--configfile", type=Path, metavar="FILE", help="as in snakemake; its file is packed"
    )
    command.add_argument(
        "--output", type=Path, default=ARCHIVE, metavar="FILE", help=f"the archive ({ARCHIVE})"
    )
    command.add_argument(
        "--extra",
        action="append",
        default=[],
        metavar="NAME",
        help="further packages, by a name in pyproject.toml such as comet; may be repeated",
    )
    command.add_argument(
        "--wheels",
        type=Path,
        metavar="FOLDER",
        help="take wheels from this folder alone; without it they are fetched from PyPI",
    )


def bundle(arguments: argparse.Namespace) -> None:
    """Make the bundle and say how it is unpacked."""
    from wim.bundling.bundle import make_bundle
    from wim.provenance.code import PACKAGE

    if arguments.wheels and not arguments.wheels.is_dir():
        raise UserError(f"--wheels: {arguments.wheels} is no folder; write one that has wheels.")
    packed = make_bundle(
        project=PACKAGE.parents[1],
        output=arguments.output,
        configfile=arguments.configfile,
        targets=arguments.targets or ["all"],
        extras=arguments.extra,
        given_wheels=arguments.wheels,
    )
    name, (major, minor, *_) = arguments.output.name, sys.version_info
    print(
        f"{arguments.output}: {packed.files} files, {packed.size / 1e9:.2f} GB, digest "
        f"{packed.digest}\nCopy it to where it is to run, and there:\n\n"
        f"    tar -xf {name} unpack.py\n    python{major}.{minor} unpack.py {name} FOLDER\n"
    )


def add_unpack_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `wim unpack`."""
    command.add_argument("archive", type=Path, metavar="ARCHIVE", help="as `wim bundle` wrote it")
    command.add_argument("folder", type=Path, metavar="FOLDER", help="a new folder")


def unpack(arguments: argparse.Namespace) -> None:
    """Unpack a bundle, as the script in its archive does where there is no environment yet."""
    from wim.bundling.unpack import BundleError, next_steps, unpack

    try:
        print(next_steps(arguments.folder, unpack(arguments.archive, arguments.folder)))
    except BundleError as error:
        raise UserError(str(error)) from None
