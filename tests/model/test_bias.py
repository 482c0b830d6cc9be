"""What a distance adds to the scores is what the papers and the code of their authors' readers say."""

import pytest
import torch
from torch import Tensor
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.t5 import T5Config
from transformers.models.t5.modeling_t5 import T5Attention

from headway.model.bias import BucketedBias, LinearBias, score_bias, slopes
from headway.model.config import AttentionConfig, PositionConfig, TransformerConfig
from headway.model.mask import AttentionMask

from .shapes import assert_near

CPU = torch.device("cpu")


def test_slopes_are_those_of_the_paper() -> None:
    """Press et al. 2022, §3: 1/2, 1/4, … of 8 heads; of 16 they begin at 2^(-1/2)."""
    assert slopes(8) == [2.0**-i for i in range(1, 9)]
    assert slopes(16) == [2 ** (-i / 2) for i in range(1, 17)]
    assert slopes(1) == [2.0**-8]


@pytest.mark.parametrize("heads", [1, 2, 3, 6, 8, 12, 16, 20])
def test_linear_biases_are_those_of_bloom(heads: int) -> None:
    """Theirs grow with the place of the key instead: the same but for a number for each query."""
    theirs = build_alibi_tensor(torch.ones(1, 9, dtype=torch.long), heads, torch.float32)
    ours = LinearBias(heads)(AttentionMask(causal=True), 9, 9, CPU)
    assert ours.shape == (1, heads, 9, 9)
    for t in range(9):
        assert_near(ours[0, :, t, : t + 1] - ours[0, :, t, :1], theirs[:, 0, : t + 1])


def test_linear_biases_are_alike_on_both_sides() -> None:
    found = LinearBias(4)(AttentionMask(), 6, 6, CPU)
    assert torch.equal(found, found.mT)
    assert found[0, 2, 1].tolist() == [-d / 64 for d in (1, 0, 1, 2, 3, 4)]


@pytest.mark.parametrize(("buckets", "max_distance"), [(32, 128), (8, 20), (6, 10), (4, 3)])
@pytest.mark.parametrize("causal", [True, False])
def test_bucketed_biases_are_those_of_t5(causal: bool, buckets: int, max_distance: int) -> None:
    ours = BucketedBias(3, buckets, max_distance)
    config = T5Config(
        d_model=12,
        num_heads=3,
        is_decoder=causal,
        relative_attention_num_buckets=buckets,
        relative_attention_max_distance=max_distance,
    )
    theirs = T5Attention(config, has_relative_attention_bias=True, layer_idx=0)
    theirs.relative_attention_bias.load_state_dict(ours.table.state_dict())
    for queries, past in ((300, 0), (3, 200)):
        mask = AttentionMask(causal=causal, offset=past)
        expected = theirs.compute_bias(queries, queries + past, CPU, past_seen_tokens=past)
        assert torch.equal(ours(mask, queries, queries + past, CPU), expected)


@pytest.mark.parametrize("bias", [LinearBias(3), BucketedBias(3, 8, 20)])
def test_rows_may_begin_at_different_places(bias: LinearBias | BucketedBias) -> None:
    """As in a cache whose rows have different lengths."""
    starts = [4, 0, 9]
    together = bias(AttentionMask(causal=True, offset=torch.tensor(starts)), 2, 11, CPU)
    alone = [bias(AttentionMask(causal=True, offset=start), 2, 11, CPU) for start in starts]
    assert torch.equal(together, torch.cat(alone))


def test_each_kind_has_its_bias() -> None:
    def of(kind: str) -> object:
        positions = PositionConfig(kind=kind, buckets=6, max_distance=9)  # type: ignore[arg-type]
        return score_bias(
            TransformerConfig(
                vocab_size=5, d_model=12, attention=AttentionConfig(num_heads=3), positions=positions
            )
        )

    relative, linear = of("relative"), of("alibi")
    assert isinstance(relative, BucketedBias)
    assert relative.table.weight.shape == (6, 3)
    assert relative.max_distance == 9
    assert isinstance(linear, LinearBias)
    assert not linear.state_dict(), "slopes are computed, never kept"
    assert all(of(kind) is None for kind in ("sinusoidal", "learned", "rotary", "none"))


def test_a_table_learns_from_every_distance_that_is_seen() -> None:
    bias = BucketedBias(2, 8, 20)
    found: Tensor = bias(AttentionMask(), 4, 4, CPU)
    found.sum().backward()
    assert bias.table.weight.grad is not None
    # distances 0..3 before and 1..3 behind; the first two of each side have a bucket of their own
    assert bias.table.weight.grad[:, 0].tolist() == [4.0, 3.0, 3.0, 0.0, 0.0, 3.0, 3.0, 0.0]
