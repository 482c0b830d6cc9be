"""A step at a time gives what one pass gives, however the tokens come and the rows are moved."""

import torch
from torch import Tensor

from headway.batch import Tokens
from headway.model.architectures import Transformer
from headway.model.attention import KeyValues
from headway.model.cache import BLOCK, Cache, empty_key_values
from headway.model.config import TransformerConfig

from .shapes import assert_near, causal, encoder_decoder, outputs, text

Decoders = list[tuple[Transformer, Tokens | None, Cache]]


def decoders(config: TransformerConfig, rows: int) -> Decoders:
    """Both models that decode, with sources of different lengths and a cache for so many rows."""
    source = text(rows, 6, [6, 2, 4, 1][:rows])
    pairs, alone = encoder_decoder(config), causal(config)
    with torch.no_grad():
        return [(pairs, source, pairs.begin(source)), (alone, None, alone.begin(rows))]


@torch.no_grad()
def step(model: Transformer, ids: Tensor, cache: Cache, counts: list[int] | None = None) -> Tensor:
    return model.step(ids, cache, None if counts is None else torch.tensor(counts))


def one_row(tokens: Tokens | None, row: int) -> Tokens | None:
    if tokens is None or tokens.segments is None:
        return None
    return Tokens(tokens.ids[row : row + 1], tokens.segments[row : row + 1])


def test_single_steps_equal_one_pass(config: TransformerConfig) -> None:
    ids = text(2, 6).ids
    for model, source, cache in decoders(config, 2):
        whole = outputs(model, Tokens(ids), source)
        for column in range(6):
            assert_near(step(model, ids[:, column : column + 1], cache), whole[:, column])
        assert cache.lengths.tolist() == [6, 6]
        assert cache.uniform


def test_chunks_beyond_the_first_blocks_equal_one_pass(config: TransformerConfig) -> None:
    chunks = (BLOCK - 5, 4, 1, 1, 7, BLOCK + 3, 1)
    ids = text(2, sum(chunks)).ids
    for model, source, cache in decoders(config, 2):
        whole, end = outputs(model, Tokens(ids), source), 0
        for chunk in chunks:
            newest = ids[:, end : end + chunk]
            end += chunk
            assert_near(step(model, newest, cache), whole[:, end - 1])
        assert cache.own[0].k.shape[2] >= end


def test_rows_may_bring_different_numbers_of_tokens(config: TransformerConfig) -> None:
    """Prompts of different lengths, one more token each, then again different numbers."""
    ids, plan = text(4, 14).ids, ([5, 1, 3, 4], [1, 1, 1, 1], [2, 4, 1, 3], [1, 1, 1, 1])
    for model, source, cache in decoders(config, 4):
        alone = [outputs(model, Tokens(ids[row : row + 1]), one_row(source, row))[0] for row in range(4)]
        lengths = [0] * 4
        for counts in plan:
            newest = text(4, max(counts)).ids  # what stands behind a row's end is noise
            for row, count in enumerate(counts):
                newest[row, :count] = ids[row, lengths[row] : lengths[row] + count]
                lengths[row] += count
            found = step(model, newest, cache, None if set(counts) == {1} else counts)
            expected = torch.stack([alone[row][lengths[row] - 1] for row in range(4)])
            assert_near(found, expected)
            assert cache.lengths.tolist() == lengths


def test_ragged_rows_grow_beyond_the_first_block(config: TransformerConfig) -> None:
    ids, starts = text(2, BLOCK + 9).ids, [BLOCK - 2, 3]
    for model, source, cache in decoders(config, 2):
        whole = outputs(model, Tokens(ids), source)
        step(model, ids[:, : starts[0]], cache, starts)
        for more in range(5):
            newest = torch.stack([ids[row, start + more] for row, start in enumerate(starts)])[:, None]
            found = step(model, newest, cache)
            assert_near(found, torch.stack([whole[row, start + more] for row, start in enumerate(starts)]))


def test_a_moved_row_continues_what_it_was(config: TransformerConfig) -> None:
    """`keep` takes any rows with their sources; those given up leave no trace."""
    ids, counts, rows = text(4, 8).ids, [4, 2, 3, 1], [2, 0, 2]
    next_ids = text(3, 2).ids
    for model, source, cache in decoders(config, 4):
        step(model, ids[:, :4], cache, counts)
        cache.keep(torch.tensor(rows))
        assert cache.lengths.tolist() == [counts[row] for row in rows]
        for newest in (next_ids[:, :1], next_ids[:, 1:]):
            found = step(model, newest, cache)
        for place, row in enumerate(rows):
            own = torch.cat((ids[row, : counts[row]], next_ids[place]))[None]
            whole = outputs(model, Tokens(own), one_row(source, row))
            assert_near(found[place], whole[0, -1])


def test_reordered_beams_share_their_source(config: TransformerConfig) -> None:
    beams, model = 3, encoder_decoder(config)
    source, first, second = text(2, 5, [5, 2]), text(6, 3).ids, text(6, 1).ids
    with torch.no_grad():
        cache = model.begin(source, beams)
    step(model, first, cache)
    memory = [(m.k, m.v) for m in cache.memory]
    rows = torch.tensor([1, 1, 0, 5, 3, 5])
    cache.reorder(rows)
    assert all(m.k is k and m.v is v for m, (k, v) in zip(cache.memory, memory, strict=True))
    found = step(model, second, cache)
    for row in range(6):
        own = torch.cat((first[rows[row]], second[row]))[None]
        whole = outputs(model, Tokens(own), one_row(source, row // beams))
        assert_near(found[row], whole[0, -1])


def test_rows_that_share_memory_may_part(config: TransformerConfig) -> None:
    """Whole groups take their source along; where beams leave one by one, each keeps what it saw."""
    beams, model = 2, encoder_decoder(config)
    source, ids, more = text(3, 5, [5, 2, 4]), text(6, 2).ids, text(6, 1).ids
    with torch.no_grad():
        caches = [model.begin(source, beams) for _ in range(2)]
    for cache, rows, shares in zip(caches, ([5, 4, 0, 1], [3, 0, 4]), (True, False), strict=True):
        step(model, ids, cache)
        cache.keep(torch.tensor(rows))
        assert (len(cache.memory[0].k) < len(rows)) == shares
        found = step(model, more[: len(rows)], cache)
        for place, row in enumerate(rows):
            own = torch.cat((ids[row], more[place]))[None]
            assert_near(found[place], outputs(model, Tokens(own), one_row(source, row // beams))[0, -1])


def test_beams_of_one_source_begin_alike(config: TransformerConfig) -> None:
    model, source = encoder_decoder(config), text(2, 5, [5, 2])
    with torch.no_grad():
        cache, single = model.begin(source, 2), model.begin(source)
    ids = text(2, 1).ids
    found = step(model, ids.repeat_interleave(2, 0), cache)
    assert_near(found, step(model, ids, single).repeat_interleave(2, 0))


def test_a_cache_grows_by_doubling() -> None:
    like = torch.zeros(1)
    cache = Cache([empty_key_values(like, 2, 1, 4, 6)], [], None, torch.zeros(2, dtype=torch.long))
    rooms = []
    for _ in range(5 * BLOCK):
        cache.reserve(1)
        cache.remember(0, KeyValues(torch.ones(2, 1, 1, 4), torch.ones(2, 1, 1, 6)))
        cache.advance(1, None)
        rooms.append(cache.own[0].k.shape[2])
    assert sorted(set(rooms)) == [BLOCK, 2 * BLOCK, 4 * BLOCK, 8 * BLOCK]
    assert cache.own[0].v.shape == (2, 1, 8 * BLOCK, 6)
    assert cache.own[0].k[:, :, : 5 * BLOCK].eq(1).all()
    assert cache.own[0].k[:, :, 5 * BLOCK :].eq(0).all()
