"""The documentation's links lead to files and headings, and its commands are there."""

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


# What a reader types: blocks of code, indented ones, and code within a sentence.
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.M)
SHELL = ("", "bash", "sh")
TYPED = re.compile(r"((?:^    \S.*\n)+)|`([^`\n]+)`", re.M)
# Options of snakemake that take values: one, or all words up to the next option.
ONE = {"--configfile", "--profile", "--workflow-profile", "--directory", "--report"}
ONE |= {"--cores", "--snakefile"}
SEVERAL = {"--config", "--set-resources", "--default-resources", "-R", "-U"}


def commands(program: str) -> set[str]:
    """What the pages have the reader type after a program's name, a line each."""
    found = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        codes = [code for language, code in BLOCK.findall(text) if language in SHELL]
        codes += map("".join, TYPED.findall(prose(page)))
        for line in "\n".join(codes).replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|;|\|", line.partition(" #")[0]):
                words = part.strip()
                if words.startswith(f"{program} "):
                    found.add(words.removeprefix(f"{program} ").strip())
    return found


def targets(words: list[str]) -> list[str]:
    """The rules that a command of snakemake names; files and placeholders are none."""
    found, place, after = [], 0, False
    while place < len(words):
        word, place = words[place], place + 1
        if word == "--":
            after = True
        elif not after and word.startswith("-"):
            place += word in ONE
            while word in SEVERAL and place < len(words) and not words[place].startswith("-"):
                place += 1
        elif re.fullmatch(r"[a-z_]+", word):
            found.append(word)
    return found


def test_every_target_of_snakemake_that_a_page_names_is_a_rule() -> None:
    rules = "\n".join(
        path.read_text(encoding="utf-8") for path in [ROOT / "Snakefile", *ROOT.glob("rules/*.smk")]
    )
    known = set(re.findall(r"^(?:rule|checkpoint) (\w+):", rules, re.M))
    # `wim bundle` takes targets too, and `wim plan` all of a command.
    typed = {
        *commands("snakemake"),
        *(line.removeprefix("bundle ") for line in commands("wim") if line.startswith("bundle ")),
        *(line.removeprefix("plan -- ") for line in commands("wim") if line.startswith("plan -- ")),
    }
    named = {target: line for line in typed for target in targets(line.split())}
    assert len(named) > 15
    assert {target: line for target, line in named.items() if target not in known} == {}


def test_every_command_of_wim_that_a_page_names_is_one() -> None:
    text = (ROOT / "workflow/wim/cli.py").read_text(encoding="utf-8")
    known = set(re.findall(r'add_parser\(\s*"([a-z-]+)"', text))
    named = {words[0] for line in commands("wim") if re.match(r"[a-z]", (words := line.split())[0])}
    assert len(named) > 8
    assert named - known == set()


def test_every_target_of_make_that_a_page_names_is_one() -> None:
    known = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = {line.split()[0] for line in commands("make") if re.match(r"[a-z]", line)}
    assert len(named) > 8
    assert named - known == set()
