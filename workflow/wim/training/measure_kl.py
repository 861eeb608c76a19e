"""How far a trained speaker is from the model that it was trained from, on its own answers."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wim.display.json_files import rounded, write_json
from wim.engines.staged import StagedModel
from wim.evaluation.speakers import table_rows
from wim.statistics import Estimate
from wim.tables.schemas import DIALOGUES

logger = logging.getLogger(__name__)
COLUMNS = ["prompt_id", "context", "completion", "judged", "finish_reason", "reasoning", "tokens"]


@dataclass(frozen=True)
class Divergence:
    """KL divergences between a policy and its reference, in nats.

    Attributes:
        answer: KL(policy || reference) of a whole answer: the sum over its tokens of the divergence
            of the next token's distributions, exact over the vocabulary. On answers sampled from
            the policy its mean is the Rao-Blackwellised estimate of the divergence of the two
            models (Amini, Vieira and Cotterell 2025, arXiv 2504.10637).
        token: The same per token of the answers.
        reverse_token: KL(reference || policy) per token of prompts and answers, which Lu et al. 2024
            (DiscoPOP, arXiv 2406.08414) plot.
        tokens: Of the answers.
    """

    answer: Estimate
    token: float | None
    reverse_token: float | None
    tokens: int


def measure_kl(
    answers: Sequence[str],
    policy: StagedModel,
    reference: StagedModel,
    reasoning: str,
    seed: int,
    output: Path,
) -> None:
    """Write the divergence of a policy from its reference on the policy's own answers.

    Both models are in memory at once, and a row is read at a time.

    Args:
        answers: The dialogues of the policy, all shards.
        policy: The trained model.
        reference: The model that it was trained from.
        reasoning: See DialogueSettings.reasoning; what is left out of training is left out here.
        seed: Of the interval.
        output: The figures, as JSON.
    """
    import torch

    from wim.cluster.gpu_checks import check_gpus
    from wim.engines.chat_format import ChatFormat
    from wim.engines.local.loading import open_model
    from wim.engines.machine import dtype_of
    from wim.engines.turn_format import TurnFormat
    from wim.evaluation.compared.bootstrap import mean_over
    from wim.training.turns import TrainedTurns

    check_gpus()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    models = []
    for each in (policy, reference):
        source = each.source
        dtype = dtype_of(source.dtype, "generation")
        models.append(open_model(each.folder, dtype, device, source.quantization, source.attention))
    chat = ChatFormat.of_folder(policy.folder, policy.source.thinking)
    turns = TrainedTurns(TurnFormat(chat), reasoning)  # type: ignore[arg-type]
    rows = [row for row in table_rows(answers, DIALOGUES, COLUMNS) if row["judged"]]
    sums, reverse, read, written = [], 0.0, 0, 0
    for row in rows:
        prompt, (said,) = turns.tokens(row["context"], turns.turn(row, row["completion"]))
        if not said:
            sums.append(0.0)
            continue
        forward, backward = divergences(models[0], models[1], [*prompt, *said])
        sums.append(float(forward[len(prompt) - 1 :].sum()))
        reverse += float(backward.sum())
        read, written = read + len(backward), written + len(said)
    found = Divergence(
        answer=mean_over(sums, [row["prompt_id"] for row in rows], seed),
        token=sum(sums) / written if written else None,
        reverse_token=reverse / read if read else None,
        tokens=written,
    )
    turns.log("kl")
    logger.info("kl: %s nats an answer, over %d answers", found.answer.value, len(rows))
    write_json(output, rounded(asdict(found)))


def divergences(policy: Any, reference: Any, tokens: Sequence[int]) -> tuple[Any, Any]:
    """Of each next token of a text, KL(policy || reference) and KL(reference || policy), in nats.

    Both are (tokens - 1,); the first is that of the second token.
    """
    import torch

    from wim.training.records.kl import divergence

    ids = torch.tensor([list(tokens)], device=policy.device)
    with torch.inference_mode():
        ours, theirs = (model(input_ids=ids).logits[0, :-1] for model in (policy, reference))
    return divergence(ours, theirs), divergence(theirs, ours)
