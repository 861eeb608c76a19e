"""Log-probabilities of completions from hidden states, without the logits in memory.

Importing this module loads torch and trl. TRL 1.16's fused head scores completions alone on a GPU,
in one kernel; on a processor it scores every position, prompts and padding too, in tiles of 4096
tokens, and computes each tile again for the gradient. The head here takes its place there.
"""

from types import MethodType
from typing import Any

import torch
from torch import Tensor
from torch.linalg import vecdot
from torch.nn.functional import linear

from wim.training.dpo.cpu_prefix import hidden_states, shares_prefixes
from wim.training.run.trl_internals import chunked_log_probabilities, fused_head_output

POSITIONS = 256
"""Completion tokens whose logits (positions, vocabulary) are in memory at once."""
VOCABULARY = 32768
"""Width of a tile of TRL's function, which serves heads that are trained; TRL's own choice."""
# Configurations that change logits on their way, or whose forward pass returns more.
_ALTERS_LOGITS = (
    *("final_logit_softcapping", "logit_scale", "output_multiplier"),
    *("lm_head_multiplier", "logits_scaling", "output_router_logits"),
)

Scores = tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]


class CompletionScores(torch.autograd.Function):
    """The log-probability of each target under a frozen head, and what is logged of it.

    hidden (tokens, width), weight (vocabulary, width), bias (vocabulary,) or None, targets
    (tokens,). Returns log-probabilities with gradient, and without: entropies (nats), with
    `sum_squares` log(sum of p^2) and else None, means of the logits, and whether the target is the
    most likely token; all (tokens,), float32.

    The gradient of log p(target) in the hidden state is weight[target] - sum_v p_v weight[v],
    which needs nothing of the loss: it is formed beside the logits, so these are computed once.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        sum_squares: bool,
    ) -> Scores:
        """The scores, in chunks of POSITIONS tokens."""
        device = hidden.device.type
        autocast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else hidden.dtype
        weight = weight.to(dtype)
        found: list[tuple[Tensor, ...]] = []
        slopes: list[Tensor] = []
        for states, wanted in zip(
            torch.split(hidden.to(dtype), POSITIONS),
            torch.split(targets[:, None], POSITIONS),
            strict=True,
        ):
            logits = linear(states, weight, bias).float()
            target = logits.gather(-1, wanted)[:, 0]
            highest = logits.amax(-1)
            # Of equal logits the first counts, as in argmax.
            top = target == highest
            top[top.clone()] = logits[top].argmax(-1) == wanted[top, 0]
            powers = (logits - highest[:, None]).exp_()
            sums = powers.sum(-1)
            log_z = highest + sums.log()
            entropy = log_z - vecdot(powers, logits) / sums
            squares = (vecdot(powers, powers) / sums.square()).log() if sum_squares else sums
            found.append((target - log_z, entropy, squares, top))
            if ctx.needs_input_grad[0]:
                expected = (powers.to(dtype) @ weight).float() / sums[:, None]
                slopes.append(weight[wanted[:, 0]].float() - expected)
        log_probs, entropy, squares, top = (
            (torch.cat(each) for each in zip(*found, strict=True))
            if found
            else (hidden.new_zeros(0, dtype=torch.float32),) * 4
        )
        # The mean of logits is the logit of the head's mean.
        means = hidden.float() @ weight.float().mean(0) + (
            0 if bias is None else bias.float().mean()
        )
        ctx.save_for_backward(torch.cat(slopes).to(hidden.dtype) if slopes else None)
        ctx.mark_non_differentiable(entropy, squares, means, top)
        return log_probs, entropy, squares if sum_squares else None, means, top

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, *_: Any) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """The hidden states' gradient."""
        (slopes,) = ctx.saved_tensors
        return (upstream[:, None] * slopes).to(slopes.dtype), None, None, None, None


def scores(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, sum_squares: bool = False
) -> Scores:
    """CompletionScores of a frozen head, the same of TRL's function for one that is trained."""
    if not weight.requires_grad and (bias is None or not bias.requires_grad):
        return CompletionScores.apply(hidden, weight, bias, targets, sum_squares)  # type: ignore[no-any-return, no-untyped-call]
    wanted = ("entropy", "log_sum_sq_probs", "mean_logits", "is_top1")
    log_probs, entropy, squares, means, top = chunked_log_probabilities().apply(
        hidden, weight, bias, targets, 1.0, VOCABULARY, None, 1.0, wanted
    )
    return log_probs, entropy, squares, means, top


def score_completions_alone(model: Any, sum_squares: bool) -> None:
    """Give a causal language model that has TRL's fused head ours, where it serves.

    That is on a processor, for models whose logits are the hidden states times the head. Elsewhere
    TRL's stays. A batch's first half is taken for the chosen sequences of the second's; see
    wim.training.dpo.cpu_prefix. sum_squares: with log_sum_sq_probs in the output, for WPO.
    """
    if any(getattr(model.config.get_text_config(), name, None) for name in _ALTERS_LOGITS):
        return
    of_trl, in_pairs = model.forward, shares_prefixes(model.config)
    output_class = fused_head_output()

    def forward(
        self: Any,
        *inputs: Any,
        fused_lm_head: bool = False,
        labels: Tensor | None = None,
        **named: Any,
    ) -> Any:
        head = self.get_output_embeddings()
        if not fused_lm_head or labels is None or head.weight.device.type != "cpu":
            return of_trl(*inputs, fused_lm_head=fused_lm_head, labels=labels, **named)
        named["use_cache"] = False
        if in_pairs and not inputs and len(labels) % 2 == 0:
            hidden = hidden_states(self.base_model, **named)
        else:
            hidden = self.base_model(*inputs, **named).last_hidden_state
        targets = labels[:, 1:]
        scored = targets != -100
        found = scores(hidden[:, :-1][scored], head.weight, head.bias, targets[scored], sum_squares)
        log_probs, entropy, squares, means, top = (
            None if each is None else each.new_zeros(scored.shape).masked_scatter(scored, each)
            for each in found
        )
        return output_class(
            log_probs=log_probs,
            entropy=entropy,
            log_sum_sq_probs=squares,
            mean_logits=means,
            is_top1=top,
            label_mask=scored,
        )

    model.forward = MethodType(forward, model)
