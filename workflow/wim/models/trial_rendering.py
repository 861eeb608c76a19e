"""Rendering a chat template for the first time: in a process of its own, which can be ended.

A template comes with a model, and may run without end or fill the memory, in ways that no sandbox of
Jinja forbids: loops in loops, texts that are doubled, powers of powers.
"""

import multiprocessing
import resource
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from wim.errors import UserError

SECONDS = 5
"""The processor's time for rendering two conversations, which takes milliseconds."""
LONGEST = 120.0  # Seconds on a clock, where the machine has other work.
MEMORY = 2**31  # Bytes beyond those of this process.
QUESTION = {"role": "user", "content": "Why?"}
CONVERSATIONS = (
    [QUESTION],
    [
        {"role": "system", "content": "Be brief."},
        QUESTION,
        {"role": "assistant", "content": "Because."},
        QUESTION,
    ],
)


def try_template(text: str, place: str) -> str | None:
    """Render a chat template for two conversations; why it refuses the first, None if it does not.

    Args:
        text: The template.
        place: Where it is from, for errors.

    Raises:
        UserError: It is no template, does not come to an end, or takes more memory than there is.
    """
    # Imported before the process is forked, so that the time is the template's own.
    from transformers.utils import chat_template_utils  # noqa: F401

    fork = multiprocessing.get_context("fork")
    receiving, sending = fork.Pipe(duplex=False)
    process = fork.Process(target=_render, args=(text, sending), daemon=True)
    problem: Any
    process.start()
    sending.close()
    try:
        kind, problem = receiving.recv() if receiving.poll(LONGEST) else ("endless", None)
    except EOFError:
        kind, problem = "endless", None
    finally:
        process.kill()
        process.join()
        receiving.close()
    if kind == "syntax":
        raise UserError(f"{place}{problem[0]}: not a Jinja template ({problem[1]}).")
    if kind == "endless":
        raise UserError(
            f"{place}: rendering one question takes more than {SECONDS} s, or more than "
            f"{MEMORY / 2**30:.0f} GB; write models.<name>.chat_template with one that ends."
        )
    return str(problem) if kind == "refused" else None


def _render(text: str, sending: Connection) -> None:
    from jinja2 import TemplateError, TemplateSyntaxError
    from transformers.utils.chat_template_utils import render_jinja_template

    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    _limit_memory()
    refusals = (TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError)
    found: tuple[str, object] = ("rendered", None)
    for conversation in CONVERSATIONS:
        try:
            render_jinja_template([conversation], chat_template=text, add_generation_prompt=True)
        except TemplateSyntaxError as error:
            found = "syntax", (f", line {error.lineno}", str(error))
        except (MemoryError, OverflowError, RecursionError):
            # Jinja's sandbox refuses the largest ranges itself.
            found = "endless", None
        except refusals as error:
            if conversation is CONVERSATIONS[0]:
                found = "refused", str(error)
        if found[0] in ("syntax", "endless"):
            break
    sending.send(found)


def _limit_memory() -> None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return  # Only the time is limited.
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
