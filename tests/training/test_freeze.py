"""Parts that training leaves as they are: named strictly, shared matrices with either name."""

import pytest

from headway.errors import RecipeError
from headway.model.architectures import Transformer, build
from headway.model.config import AttentionConfig, TransformerConfig
from headway.training.freeze import freeze
from headway.training.optimizer import build_optimizer
from headway.training.settings import OptimizerConfig


def model(**fields: object) -> Transformer:
    shape = {"encoder_layers": 1, "decoder_layers": 2, "d_model": 8, "d_ff": 8} | fields
    return build(TransformerConfig(vocab_size=11, attention=AttentionConfig(num_heads=2), **shape))  # type: ignore[arg-type]


def frozen(of: Transformer) -> set[str]:
    return {name for name, p in of.named_parameters(remove_duplicate=False) if not p.requires_grad}


def test_a_part_is_frozen_down_to_its_last_parameter_and_no_further() -> None:
    some = model()
    freeze(some, ["decoder.layers.1", "encoder.layers.0.feed_forward.inner.bias"])
    assert frozen(some) == {
        name
        for name, _ in some.named_parameters(remove_duplicate=False)
        if name.startswith("decoder.layers.1.") or name == "encoder.layers.0.feed_forward.inner.bias"
    }
    groups = build_optimizer(some, OptimizerConfig(), 1e-3).param_groups
    assert not {name for group in groups for name in group["names"]} & frozen(some)
    freeze(some, [])
    assert len(frozen(some)) > 1


@pytest.mark.parametrize("name", ["embedding", "output", "source_embedding", "output.weight"])
def test_a_shared_matrix_is_frozen_by_any_of_its_names(name: str) -> None:
    shared = {"embedding.tokens.weight", "output.weight", "source_embedding.tokens.weight"}
    one, other = model(), model(tie_output=False, share_embeddings=False)
    freeze(one, [name])
    assert frozen(one) == shared
    freeze(other, [name])
    assert len(frozen(other)) == 1


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["encodr"], "no part 'encodr': did you mean 'encoder'"),
        (["decoder.layers.2"], "no part 'decoder.layers.2': did you mean 'decoder.layers"),
        ([""], "no part ''"),
        (["encoder.layers.0.self_residual.dropout"], "has no parameters"),
        (["encoder", "decoder", "embedding"], "nothing is left to learn"),
    ],
)
def test_what_cannot_be_frozen_is_said(names: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        freeze(model(), names)
