"""The documentation's relative links lead to files, and to headings that are there."""

import re
from pathlib import Path

import pytest

ROOT = next(each for each in Path(__file__).resolve().parents if (each / "Snakefile").exists())
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("config/**/*.md"), *ROOT.glob("docs/**/*.md")],
    key=str,
)
LINK = re.compile(r"\]\((?!https?://)([^)\s#]*)(?:#([^)\s]*))?\)")
# Pages that code, settings and profiles name in messages and comments.
MENTION = re.compile(r"\bdocs/[a-z/-]+\.md\b")
MENTIONING = ("*.md", "*.py", "*.smk", "*.yaml", "*.json", "Snakefile", "Makefile")
FOLDERS = ("", "bench", "config", "docs", "profiles", "rules", "tests", "workflow")


def prose(page: Path) -> str:
    """The page without its fenced code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, spelt as GitHub spells them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.M)
    plain = (re.sub(r"[^\w\- ]", "", each.lower()) for each in headings)
    return {each.replace(" ", "-") for each in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for path, anchor in LINK.findall(prose(page)):
        target = (page.parent / path).resolve() if path else page
        headings = anchors(target) if anchor and target.suffix == ".md" else {anchor}
        if not target.exists() or anchor not in headings:
            broken.append(f"{path}#{anchor}")
    assert not broken


def test_every_page_that_is_named_anywhere_exists() -> None:
    missing = set()
    for folder in FOLDERS:
        for pattern in MENTIONING:
            found = (ROOT / folder).rglob(pattern) if folder else ROOT.glob(pattern)
            for file in found:
                pages = MENTION.findall(file.read_text(encoding="utf-8"))
                missing |= {
                    f"{file.relative_to(ROOT)}: {each}"
                    for each in pages
                    if not (ROOT / each).exists()
                }
    assert not missing


def test_every_file_that_the_development_page_names_exists() -> None:
    text = (ROOT / "docs/development.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/.]+(?:\.py|\.smk|/))`", text)
    places = (ROOT / "workflow/wim", ROOT / "rules", ROOT)
    assert len(named) > 50
    assert [name for name in named if not any((each / name).exists() for each in places)] == []
