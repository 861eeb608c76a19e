"""What a process remembers of the code it has read, forgotten for tests that edit code."""

from wim.provenance import code


def forget_code() -> None:
    """Have the next digest of code read its files, as a new process would."""
    for cached in vars(code).values():
        # What a text says depends on nothing but the text.
        if hasattr(cached, "cache_clear") and cached is not code.read_module:
            cached.cache_clear()
