"""What is chosen from, changed by small functions; -inf is never chosen. Axes: R rows, V vocabulary."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from headway.decoding.settings import SearchConfig
from headway.text.special import SpecialIds


def forbid(
    log_probs: Float[Tensor, "R V"], special: SpecialIds, too_early: Bool[Tensor, "R"] | None = None
) -> Float[Tensor, "R V"]:
    """Without the tokens that no output holds, and without </s> where it is too early."""
    never = torch.tensor(special.never_chosen, dtype=torch.long, device=log_probs.device)
    allowed = log_probs.index_fill(1, never, -torch.inf)
    if too_early is not None:
        allowed[:, special.end].masked_fill_(too_early, -torch.inf)
    return allowed


def penalize_repetition(
    log_probs: Float[Tensor, "R V"], seen: Bool[Tensor, "R V"], power: float
) -> Float[Tensor, "R V"]:
    """Tokens already seen have their probability raised to a power (after Keskar et al. 2019, §4.1)."""
    return torch.where(seen, log_probs * power, log_probs)


def mark_seen(seen: Bool[Tensor, "R V"], ids: Int[Tensor, "R T"]) -> Bool[Tensor, "R V"]:
    """The tokens seen so far and these."""
    return seen.scatter(1, ids, True)


def top_k(logits: Float[Tensor, "R V"], k: int) -> Float[Tensor, "R V"]:
    """The k highest, and those equal to the last of them."""
    least = logits.topk(min(k, logits.shape[1])).values[:, -1:]
    return logits.masked_fill(logits < least, -torch.inf)


def top_p(logits: Float[Tensor, "R V"], p: float) -> Float[Tensor, "R V"]:
    """The fewest likeliest whose probabilities sum to p at least (Holtzman et al. 2020, §3.1)."""
    order = logits.sort(dim=1, descending=True, stable=True)
    share = order.values.softmax(dim=1)
    dropped = share.cumsum(dim=1) - share >= p
    dropped[:, 0] = False
    return logits.masked_fill(dropped.scatter(1, order.indices, dropped), -torch.inf)


def min_p(logits: Float[Tensor, "R V"], share: float) -> Float[Tensor, "R V"]:
    """Those at least `share` times as likely as the likeliest (Nguyen et al. 2024)."""
    least = logits.softmax(dim=1).amax(dim=1, keepdim=True) * share
    return logits.masked_fill(logits.softmax(dim=1) < least, -torch.inf)


def sharpen(log_probs: Float[Tensor, "R V"], config: SearchConfig) -> Float[Tensor, "R V"]:
    """Logits to sample from: temperature, then top-k, top-p and min-p, each of what is left."""
    logits = log_probs / config.temperature
    if config.top_k:
        logits = top_k(logits, config.top_k)
    if config.top_p < 1:
        logits = top_p(logits, config.top_p)
    if config.min_p > 0:
        logits = min_p(logits, config.min_p)
    return logits
