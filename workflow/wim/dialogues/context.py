"""What stands before a completion of a prompt."""

from collections.abc import Sequence

from wim.settings.dialogues import SystemAs
from wim.tables.schemas import Message


def conversation(
    messages: Sequence[Message], system: str | None, system_as: SystemAs = "system"
) -> list[Message]:
    """The messages that the actor sees: a prompt's, after the system message that is set.

    A prompt that begins with a system message of its own keeps it alone: many chat templates
    refuse a second one.
    """
    own = any(message["role"] == "system" for message in messages[:1])
    opening = [] if system is None or own else [Message(role="system", content=system)]
    return placed([*opening, *messages], system_as)


def placed(messages: Sequence[Message], system_as: SystemAs) -> list[Message]:
    """A conversation with its system message as one, or at the beginning of the first user turn."""
    if system_as == "system" or not messages or messages[0]["role"] != "system":
        return list(messages)
    text, rest = messages[0]["content"], messages[1:]
    if not rest or rest[0]["role"] != "user":
        return [Message(role="user", content=text), *rest]
    first = Message(role="user", content=f"{text}\n\n{rest[0]['content']}")
    return [first, *rest[1:]]
