"""One HTML file that needs nothing else: its scripts, its style and its rows are inside.

Rows are compressed JSON, which the page's script unpacks; no text of a row is ever HTML. The page's
content security policy names the SHA-256 of its own scripts and style and allows nothing else: no
other script or style, no request, no picture, no frame, no form, and no HTML from strings.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from wim.atomic import whole_file
from wim.viewing import assets

SCRIPTS = (
    *("text", "data", "rows", "filters", "charts", "list", "detail"),
    *("labels", "labelling", "main"),
)
STYLE = "page.css"
FRAME = "page.html"
LIBRARY = "diff.min.js"
LICENCE = "diff.LICENSE"


def write_page(path: Path, title: str, content: Mapping[str, Any]) -> None:
    """Write the page, whole or not at all; the same content gives the same bytes.

    Args:
        path: The HTML file.
        title: A word or two, which is escaped.
        content: What the page's script reads, as JSON.
    """
    style = _asset(STYLE)
    library = f"/*\n{_asset(LICENCE)}*/\n{_asset(LIBRARY)}"
    script = "\n".join(['"use strict";', *(_asset(f"{name}.js") for name in SCRIPTS)])
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(library)} {_hash(script)}",
            f"style-src {_hash(style)}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )
    parts = {
        "POLICY": policy,
        "TITLE": _escaped(title),
        "STYLE": style,
        "ROWS": packed(content),
        "LIBRARY": library,
        "SCRIPT": script,
    }
    pieces = _asset(FRAME).split("@@")
    text = "".join(parts[piece] if place % 2 else piece for place, piece in enumerate(pieces))
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def packed(content: Mapping[str, Any]) -> str:
    """Content as base64 of gzip of JSON, in which numbers that JSON lacks are null."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode("ascii")


def _asset(name: str) -> str:
    return files(assets).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
