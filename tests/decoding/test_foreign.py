"""Search, scores and vectors with special tokens of other libraries."""

from dataclasses import replace

import pytest
import torch

from headway.api import Pipeline
from headway.batch import Tokens
from headway.bundle import Bundle, BundleInfo
from headway.decoding.ensemble import Ensemble
from headway.decoding.fill_mask import Filler
from headway.decoding.generator import Generator
from headway.decoding.score import Scorer
from headway.decoding.settings import SearchConfig
from headway.errors import UserError
from headway.text.tokenizer import Tokenizer, Tokenizers
from tests.decoding.toys import tiny
from tests.text.foreign import bart, bert, gpt2

GREEDY = SearchConfig(method="greedy", max_length=8)


def next_tokens(ensemble: Ensemble, ids: list[int], source: list[int] | None = None) -> torch.Tensor:
    """Log-probabilities after each of the ids."""
    model = ensemble.models[0].eval()
    read = None if source is None else Tokens(torch.tensor([source]))
    with torch.no_grad():
        return model.logits(model(Tokens(torch.tensor([ids])), read)[0]).log_softmax(-1)


def best(log_probs: torch.Tensor, tokenizer: Tokenizer) -> int:
    allowed = log_probs.clone()
    allowed[tokenizer.special.never_chosen] = -torch.inf
    return int(allowed.argmax())


def test_without_a_start_a_prompt_is_read_as_it_is() -> None:
    tokenizer = gpt2()
    ensemble = tiny(0, 1, tokenizer)
    ids, written = tokenizer.encode("the fox"), []
    while len(written) < 8:
        written.append(best(next_tokens(ensemble, ids + written)[-1], tokenizer))
        if written[-1] == tokenizer.special.end:
            break
    [[found]] = Generator(ensemble, GREEDY).generate(["the fox"])
    assert found.ids == [each for each in written if each != tokenizer.special.end]
    with pytest.raises(UserError, match="prompt is empty"):
        Generator(ensemble, GREEDY).generate([""])
    beams = Generator(ensemble, SearchConfig(beams=3, max_length=8))
    together, alone = beams.generate(["the", "the fox"])[1], beams.generate(["the fox"])[0]
    assert together[0].ids == alone[0].ids


def test_without_a_start_the_first_token_has_no_score() -> None:
    tokenizer = gpt2()
    ensemble = tiny(0, 1, tokenizer)
    ids = tokenizer.encode("the fox")
    rows = next_tokens(ensemble, ids)
    expected = [float(row[label]) for row, label in zip(rows, [*ids[1:], 299], strict=True)]
    whole, nothing = Scorer(ensemble).score(["the fox", ""])
    assert whole.log_probs == pytest.approx(expected, abs=1e-5)
    assert (nothing.ids, nothing.log_probs) == ([], [])
    windows = Scorer(replace(ensemble, longest_target=2)).score(["the fox jumps"])[0]
    assert len(windows.log_probs) == len(windows.ids)


def test_a_source_begins_as_its_vocabulary_says() -> None:
    tokenizer = bart()
    ensemble = tiny(1, 1, tokenizer)
    source, written = [0, *tokenizer.encode("the fox"), 2], []
    while len(written) < 8:
        written.append(best(next_tokens(ensemble, [2, *written], source)[-1], tokenizer))
        if written[-1] == 2:
            break
    found = Generator(ensemble, SearchConfig(method="greedy", max_length=8)).generate(["the fox", "x"])[0][0]
    assert found.ids == [each for each in written if each != 2]
    [score] = Scorer(ensemble).score(["dog"], ["the fox"])
    ids = tokenizer.encode("dog")
    rows = next_tokens(ensemble, [2, *ids], source)
    assert score.log_probs == pytest.approx(
        [float(row[label]) for row, label in zip(rows, [*ids, 2], strict=True)], abs=1e-5
    )


def test_a_masked_model_reads_its_own_frame_and_mask() -> None:
    tokenizer = bert()
    special = tokenizer.special
    ensemble = tiny(1, 0, tokenizer)
    ids = tokenizer.encode_blanks("the ___ jumps")
    place = ids.index(special.mask)
    rows = next_tokens(ensemble, [special.begin, *ids, special.end])
    allowed = rows[place + 1].clone()
    allowed[[*special.never_chosen, special.end]] = -torch.inf
    [filled] = Filler(ensemble).fill(["the ___ jumps"])
    assert filled.blanks[0][0].id == int(allowed.argmax())
    with pytest.raises(UserError, match="no token for a mask"):
        Scorer(tiny(1, 0, gpt2())).score(["the"])


@pytest.mark.parametrize("encoder", [True, False])
def test_a_vector_is_the_mean_of_the_text_alone(encoder: bool) -> None:
    tokenizer = bert() if encoder else bart()
    ensemble = tiny(1, 0 if encoder else 1, tokenizer)
    model = ensemble.models[0].eval()
    tokenizers = Tokenizers(None if encoder else tokenizer, tokenizer)
    pipeline = Pipeline(Bundle(model.config, model, tokenizers, BundleInfo()))  # type: ignore[arg-type]
    ids, special = tokenizer.encode("the fox"), tokenizer.special
    row = Tokens(torch.tensor([special.whole(ids) if encoder else special.source(ids)]))
    with torch.no_grad():
        states = model(row) if encoder else model.encode(row)  # type: ignore[operator]
    expected = states[0, 1 : 1 + len(ids)].mean(dim=0)
    assert torch.allclose(torch.tensor(pipeline.embed("the fox")), expected, atol=1e-5)
