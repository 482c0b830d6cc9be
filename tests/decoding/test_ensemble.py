"""Several models as one."""

from dataclasses import replace

import pytest
import torch

from headway.batch import Tokens
from headway.bundle import Bundle, BundleInfo
from headway.decoding.ensemble import Ensemble, ensemble_of, join
from headway.decoding.generator import Generator
from headway.decoding.settings import SearchConfig
from headway.decoding.steps import average
from headway.errors import UserError
from headway.text.tokenizer import Tokenizers

from .toys import byte_pairs, letters, tiny, words


def test_probabilities_are_averaged() -> None:
    parts = [torch.randn(3, 7).log_softmax(1) for _ in range(3)]
    torch.testing.assert_close(average(parts).exp(), torch.stack(parts).exp().mean(0))
    assert average(parts[:1]) is parts[0]


@pytest.mark.parametrize("method", ["beam", "greedy", "sample"])
@pytest.mark.parametrize("layers", [(1, 1), (0, 2)])
def test_a_model_joined_with_itself_is_the_model(layers: tuple[int, int], method: str) -> None:
    alone = tiny(*layers)
    search = SearchConfig(method=method, max_length=6)
    expected = Generator(alone, search).generate(words(4))
    found = Generator(join([alone, alone]), search).generate(words(4))
    for ours, theirs in zip(found, expected, strict=True):
        assert [each.ids for each in ours] == [each.ids for each in theirs]
        assert ours[0].log_probs == pytest.approx(theirs[0].log_probs, abs=1e-5)


def test_each_member_has_its_say() -> None:
    first, second = tiny(0, 1, seed=1), tiny(0, 2, seed=2)
    for each in (first, second):
        each.models[0].eval()
    starts, ids = [[6, 7], [8, 9]], torch.tensor([6, 9])
    steps, found = join([first, second]).begin(None, starts, 1)
    alone = [each.begin(None, starts, 1) for each in (first, second)]
    torch.testing.assert_close(found.exp(), (alone[0][1].exp() + alone[1][1].exp()) / 2)
    parts = [part.step(ids).exp() for part, _ in alone]
    torch.testing.assert_close(steps.step(ids).exp(), (parts[0] + parts[1]) / 2)


def test_another_tokenizer_is_refused() -> None:
    with pytest.raises(UserError, match=r"model 2 .* target tokenizer"):
        join([tiny(0, 1), tiny(0, 1, byte_pairs())])
    pairs = tiny(1, 1)
    other = replace(pairs, tokenizers=Tokenizers(byte_pairs(), letters()))
    with pytest.raises(UserError, match="source tokenizer"):
        join([pairs, other])
    with pytest.raises(UserError, match="architecture"):
        Ensemble((tiny(0, 1).models[0], tiny(1, 0).models[0]), Tokenizers(None, letters()))
    with pytest.raises(UserError, match="needs a model"):
        join([])


def test_model_folders_make_an_ensemble() -> None:
    parts = [tiny(1, 1, seed=1), tiny(1, 1, seed=2)]
    info = BundleInfo(longest_source=7, longest_target=9)
    bundles = [Bundle(each.models[0].config, each.models[0], each.tokenizers, info) for each in parts]
    both = ensemble_of(bundles)
    assert both.models == (parts[0].models[0], parts[1].models[0])
    assert (both.longest_source, both.longest_target) == (7, 9)
    other = tiny(1, 1, byte_pairs())
    with pytest.raises(UserError, match="tokenizer"):
        ensemble_of([bundles[0], Bundle(other.models[0].config, other.models[0], other.tokenizers, info)])


def test_the_shortest_reach_counts() -> None:
    first = replace(tiny(1, 1), longest_source=30, longest_target=0)
    second = replace(tiny(1, 1, shape="learned"), longest_source=50, longest_target=9)
    both = join([first, second])
    assert (both.longest_source, both.longest_target) == (30, 9)
    assert (both.source_room, both.target_room) == (23, 24), "learned positions reach to 24, with </s>"
    assert replace(tiny(0, 1, shape="learned"), longest_target=100).context == 24


def test_dropout_is_off_while_decoding_and_the_mode_comes_back() -> None:
    ensemble = tiny(0, 2)
    [model] = ensemble.models
    assert model.training
    with ensemble.evaluating():
        assert not model.training
        tokens = Tokens(torch.tensor([[2, 6, 7]]))
        assert torch.equal(ensemble.hidden(tokens)[0], ensemble.hidden(tokens)[0])
    assert model.training
    model.eval()
    with pytest.raises(RuntimeError), ensemble.evaluating():
        raise RuntimeError
    assert not model.training


def test_a_diverged_model_is_named_as_such() -> None:
    ensemble = tiny(0, 1)
    with torch.no_grad():
        ensemble.models[0].embedding.tokens.weight.fill_(torch.nan)
    with pytest.raises(UserError, match="no number"):
        Generator(ensemble, SearchConfig(max_length=3)).generate(["ab"])
