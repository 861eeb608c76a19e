"""What stands before a completion of a prompt."""

from collections.abc import Sequence

from wim.tables.schemas import Message


def conversation(messages: Sequence[Message], system: str | None) -> list[Message]:
    """The messages that the actor sees: a prompt's, after the system message that is set.

    A prompt that begins with a system message of its own keeps it alone: many chat templates
    refuse a second one.
    """
    own = any(message["role"] == "system" for message in messages[:1])
    opening = [] if system is None or own else [Message(role="system", content=system)]
    return [*opening, *messages]
