"""Recorded critiques by a simulated judge, in the form of prometheus-eval."""

import random
from typing import Any

TOPICS = ("bridges", "bread", "rivers", "opera", "glaciers", "taxes", "chess", "bees", "sails")
FACTS = (
    "They are older than most people think.",
    "Their history is told in many books.",
    "Experts still argue about their origin.",
    "Most of them are found near the coast.",
    "Each kind has its own name.",
)
PRAISE = (
    "The response explains {topic} clearly.",
    "It gives a precise and useful example.",
    "The steps are complete and easy to follow.",
    "Its tone suits the reader well.",
)
LACKS = (
    "The response lacks an example about {topic}.",
    "It fails to explain why this matters.",
    "Several important points are missing.",
    "It should have given more detail.",
)


def recorded_rows(
    prompts: int, judgements: int, seed: int, bias: float = 0.0
) -> list[dict[str, Any]]:
    """Rows of {instruction, response, feedback, score}: four responses a prompt, judged repeatedly.

    A response's quality is the chance that a sentence of its feedback praises it, and the mean of
    its score, which is rounded to 1..5 and so often ties. Its length says a little of its quality,
    its words nothing.

    Args:
        prompts: How many.
        judgements: Of each response.
        seed: Of all of it; prompts of different seeds differ.
        bias: Added to every score before it is rounded.
    """
    draws = random.Random(seed)
    rows = []
    for number in range(prompts):
        topic = draws.choice(TOPICS)
        question = f"What should I know about {topic}, case {seed}-{number}?"
        for response in range(4):
            quality = draws.random()
            length = 2 + round(2 * quality + 8 * draws.random())
            text = " ".join([f"Answer {response}."] + [draws.choice(FACTS) for _ in range(length)])
            for _ in range(judgements):
                seen = min(1.0, max(0.0, quality + draws.gauss(0, 0.12)))
                sentences = [
                    draws.choice(PRAISE if draws.random() < seen else LACKS) for _ in range(6)
                ]
                score = min(5, max(1, round(2.5 + 2 * seen + bias + draws.gauss(0, 0.4))))
                feedback = " ".join(sentences).format(topic=topic)
                rows.append(
                    {
                        "instruction": question,
                        "response": text,
                        "feedback": feedback,
                        "score": score,
                    }
                )
    return rows
