"""How likely given text is."""

from dataclasses import replace

import pytest
import torch

from headway.batch import Tokens
from headway.decoding.score import Scorer, causal_readings, masked_readings
from headway.errors import UserError
from headway.text.special import OURS
from headway.text.tokenizer import BEGIN, END, MASK

from .toys import SHAPES, letters, tiny, words


@torch.no_grad()
def plain(model: torch.nn.Module, inputs: list[int], source: list[int] | None = None) -> torch.Tensor:
    """Log-probabilities at each position, read alone without padding."""
    seen = None if source is None else Tokens(torch.tensor([source]))
    return model.logits(model(Tokens(torch.tensor([inputs])), seen))[0].log_softmax(-1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layers", [(1, 1), (0, 2), (2, 0)])
def test_scores_in_a_batch_are_those_of_one_pass_alone(layers: tuple[int, int], shape: str) -> None:
    ensemble = tiny(*layers, shape=shape)
    texts, sources = words(8), words(16)[8:]
    scores = Scorer(ensemble, batch_tokens=70).score(texts, sources if all(layers) else None)
    model = ensemble.models[0].eval()
    for text, source, score in zip(texts, sources, scores, strict=True):
        ids, source_ids = letters().encode(text), letters().encode(source)
        if layers == (2, 0):
            expected = [
                float(plain(model, [BEGIN, *ids[:i], MASK, *ids[i + 1 :], END])[i + 1, token])
                for i, token in enumerate(ids)
            ]
        else:
            rows = plain(model, [BEGIN, *ids], [*source_ids, END] if all(layers) else None)
            expected = [float(row[token]) for row, token in zip(rows, [*ids, END], strict=True)]
        assert score.ids == ids
        assert score.log_probs == pytest.approx(expected, abs=1e-5)
        assert score.total == pytest.approx(sum(expected), abs=1e-4)


def test_probabilities_of_all_that_may_follow_sum_to_one() -> None:
    texts = [[6, token] for token in range(letters().vocab_size)]
    following = [score.log_probs[1] for score in Scorer(tiny(0, 1)).score_ids(texts)]
    assert float(torch.tensor(following).exp().sum()) == pytest.approx(1, abs=1e-5)


def test_a_text_beyond_the_context_is_read_in_windows_and_each_token_once() -> None:
    ids = list(range(5, 30))
    for context in range(1, 30):
        readings = causal_readings(0, ids, context, OURS)
        assert [label for reading in readings for label in reading.labels] == [*ids, END]
        whole = [BEGIN, *ids]
        done = 0
        for reading in readings:
            assert len(reading.inputs) <= context
            start = done + len(reading.labels) - len(reading.inputs)
            assert reading.inputs == whole[start : start + len(reading.inputs)]
            assert [start + column for column in reading.columns] == list(
                range(done, done + len(reading.labels))
            )
            assert done == 0 or reading.columns[0] == min(context // 2, done)
            done += len(reading.labels)


def test_a_masked_token_is_seen_among_as_many_as_the_context_holds() -> None:
    ids = list(range(5, 20))
    for context in (3, 4, 7, 16, 17, 40, 0):
        readings = masked_readings(0, ids, context, OURS)
        assert [reading.labels for reading in readings] == [[token] for token in ids]
        for reading in readings:
            [column] = reading.columns
            assert reading.inputs[column] == MASK
            assert len(reading.inputs) == min(len(ids), context - 2 if context else 99) + 2
            restored = reading.inputs[1:column] + reading.labels + reading.inputs[column + 1 : -1]
            assert restored == list(range(restored[0], restored[0] + len(restored)))


@pytest.mark.parametrize("layers", [(0, 1), (1, 0)])
def test_learned_positions_bear_long_text(layers: tuple[int, int]) -> None:
    ensemble = tiny(*layers, shape="learned")
    [score] = Scorer(ensemble).score(["abcdefgh" * 10])
    assert len(score.log_probs) == 80 + (layers == (0, 1))


def test_sources_are_for_encoder_decoders_alone() -> None:
    with pytest.raises(UserError, match="source for each"):
        Scorer(tiny(1, 1)).score(["ab"])
    with pytest.raises(UserError, match="without sources"):
        Scorer(tiny(0, 1)).score(["ab"], ["c"])
    with pytest.raises(UserError, match="2 sources for 1"):
        Scorer(tiny(1, 1)).score(["ab"], ["c", "d"])


def test_empty_text_has_a_score_too() -> None:
    assert len(Scorer(tiny(1, 1)).score([""], [""])[0].log_probs) == 1
    assert Scorer(tiny(1, 0)).score(["", "ab"])[0].log_probs == []
    assert Scorer(replace(tiny(0, 1), longest_target=4)).score([]) == []
