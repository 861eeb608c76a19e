"""The system message that is set stands before prompts that have none of their own."""

from support.builders import user
from wim.dialogues.context import conversation
from wim.tables.schemas import Message


def system(text: str) -> list[Message]:
    return [{"role": "system", "content": text}]


def test_a_prompts_own_system_message_stays_the_only_one() -> None:
    assert conversation(user("Why?"), None) == user("Why?")
    assert conversation(user("Why?"), "Be brief.") == system("Be brief.") + user("Why?")
    own = system("Rhyme.") + user("Why?")
    assert conversation(own, "Be brief.") == conversation(own, None) == own
