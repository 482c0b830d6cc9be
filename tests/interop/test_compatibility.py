"""One table: what it says of a model, the exporters do."""

from dataclasses import replace
from pathlib import Path

import pytest

from headway.errors import UserError
from headway.interop.compatibility import FAMILIES, TARGETS, family_of, refuse, verdict, verdicts
from headway.interop.matrix import matrix
from headway.model.config import NormConfig, PositionConfig, TransformerConfig
from headway.model.presets import preset_config
from headway.text.tokenizer import TokenizerConfig, train_tokenizer

PAPER = TransformerConfig(vocab_size=100)
ROOT = Path(__file__).parents[2]


def test_every_family_has_a_name_and_a_class_of_its_own() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES) == 15
    assert len({family.class_name for family in FAMILIES}) == len(FAMILIES)


@pytest.mark.parametrize(
    ("preset", "class_name"),
    [
        ("paper-base", "MarianMTModel"),
        ("pairs-small", "PegasusForConditionalGeneration"),
        ("causal-small", "LlamaForCausalLM"),
        ("masked-small", "EuroBertForMaskedLM"),
        ("bart", "BartForConditionalGeneration"),
        ("t5", "T5ForConditionalGeneration"),
        ("bert", "BertForMaskedLM"),
        ("modernbert", "ModernBertForMaskedLM"),
        ("gpt2", "GPT2LMHeadModel"),
        ("qwen3", "Qwen3ForCausalLM"),
    ],
)
def test_presets_become_the_classes_that_they_are_shaped_after(preset: str, class_name: str) -> None:
    config = preset_config(preset, 100)
    assert family_of(config).class_name == verdict("transformers", config).holder == class_name


def test_every_target_has_a_verdict() -> None:
    found = verdicts(PAPER)
    assert tuple(each.target for each in found) == TARGETS
    assert [each.target for each in found if not each.possible] == ["gguf"]


def test_the_nearest_class_is_named_with_what_to_change() -> None:
    config = replace(
        PAPER, positions=PositionConfig(kind="learned"), norm=NormConfig(embedding=True, epsilon=1e-6)
    )
    with pytest.raises(UserError) as caught:
        refuse("transformers", config)
    assert str(caught.value) == (
        "transformers cannot hold this model: BartForConditionalGeneration comes nearest, but its norms have "
        "an epsilon of 1e-5 (change: model.norm.epsilon=1e-5)"
    )


def test_a_target_that_holds_another_architecture_says_so() -> None:
    with pytest.raises(UserError, match="gguf cannot hold this model: it holds decoders only"):
        refuse("gguf", PAPER)


def test_composed_letters_are_not_for_transformers() -> None:
    letters = TokenizerConfig(kind="characters", vocab_size=100, normalize="letters")
    learned = train_tokenizer(["가나다"], letters)
    for text in (letters, learned):
        with pytest.raises(UserError, match="composes none"):
            refuse("transformers", PAPER, text)
        refuse("onnx", PAPER, text)
    refuse("transformers", PAPER, replace(letters, normalize="nfd"))


def test_an_encoder_without_a_head_of_its_own_becomes_the_class_without_one() -> None:
    bare = replace(preset_config("bert", 100), output_transform=False, output_bias=False)
    assert verdict("transformers", bare).holder == "BertModel"
    for change in ({"output_bias": True}, {"tie_output": False}, {"scale_embeddings": True}):
        found = verdict("transformers", replace(bare, **change))
        assert [rule.change for rule in found.broken] == ["model.output_transform=true"]


@pytest.mark.slow
def test_the_page_says_what_the_table_says() -> None:
    page = (ROOT / "docs" / "interop.md").read_text("utf-8")
    assert page.endswith(matrix()), "write it anew with python -m headway.interop.matrix"
