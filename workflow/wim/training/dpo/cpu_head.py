"""Log-probabilities of completions on a CPU, without all logits in memory.

Importing this module loads torch and trl. TRL 1.16's fused head scores completions alone on a GPU,
in one kernel; on a CPU it scores every position, prompts and padding too, in tiles of 4096
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
"""The number of completion tokens whose logits are in memory at once."""
VOCABULARY = 32768
"""Width of a tile of TRL's function, which scores heads that are trained; TRL's own choice."""
# Configurations that transform logits, or whose forward pass returns more.
_ALTERS_LOGITS = (
    "final_logit_softcapping",
    "logit_scale",
    "output_multiplier",
    "lm_head_multiplier",
    "logits_scaling",
    "output_router_logits",
)

Scores = tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]


class CompletionScores(torch.autograd.Function):
    """The log-probability of each target under a frozen head, with the metrics of each token.

    Inputs are hidden (tokens, width), weight (vocabulary, width), bias (vocabulary,) or None, and
    targets (tokens,). Outputs are log-probabilities with gradient, and without gradient entropies
    (nats), log(sum of p^2) if `sum_squares` and None otherwise, means of the logits, and whether
    the target is the most likely token; all (tokens,), float32.

    The gradient of log p(target) in the hidden state is weight[target] - sum_v p_v weight[v]. It
    does not depend on the loss, so it is formed together with the logits, which are computed once.
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
            # Of equal logits the first one is the most likely, as in argmax.
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
    """The scores of CompletionScores, or of TRL's function where the head itself gets a gradient.

    Without gradients it is always the former, so that a reference's log-probabilities are the same
    whichever training computes them first.
    """
    trained = weight.requires_grad or (bias is not None and bias.requires_grad)
    if not (trained and torch.is_grad_enabled()):
        return CompletionScores.apply(hidden, weight, bias, targets, sum_squares)  # type: ignore[no-any-return, no-untyped-call]
    wanted = ("entropy", "log_sum_sq_probs", "mean_logits", "is_top1")
    log_probs, entropy, squares, means, top = chunked_log_probabilities().apply(
        hidden, weight, bias, targets, 1.0, VOCABULARY, None, 1.0, wanted
    )
    return log_probs, entropy, squares, means, top


def score_completions_alone(model: Any, sum_squares: bool) -> None:
    """Replace TRL's fused head of a causal language model by ours, where ours is faster.

    That is on a CPU, for models whose logits are the hidden states times the head; elsewhere TRL's
    is used. Row i of a batch's first half and row i of its second half are a pair, which may share
    its prompt (see wim.training.dpo.cpu_prefix).

    Args:
        model: The model, whose forward pass is replaced.
        sum_squares: Whether log_sum_sq_probs is in the output, for WPO.
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
