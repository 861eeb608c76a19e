"""The names of a folder's files, and whether a name stays inside its folder."""

from pathlib import Path, PurePosixPath


def file_names(folder: Path) -> list[str]:
    """Names of all files under a folder, relative to it, POSIX, sorted.

    Hidden folders are left out: .git and .cache change without any change to the model.
    """
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    hidden = [path for path in paths if any(part.startswith(".") for part in path.parts[:-1])]
    return sorted(path.as_posix() for path in set(paths) - set(hidden))


def is_inside(name: str) -> bool:
    """Whether a relative POSIX name stays inside the folder that it is joined to."""
    path = PurePosixPath(name)
    return not (path.is_absolute() or ".." in path.parts or "\\" in name)
