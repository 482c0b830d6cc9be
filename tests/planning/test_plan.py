"""Plans for texts of each kind, for extremes, and around what the user has decided."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from headway.errors import DataError, RecipeError, UserError
from headway.planning.facts import DataFacts, measure
from headway.planning.objective import read_data_config
from headway.planning.plan import Plan, plan_for
from headway.planning.refuse import refuse_hopeless, scarce
from headway.planning.shape import SIZES, Wishes
from headway.recipe import resolve
from tests.planning.texts import MACHINE, commands, plan, pronunciations, reason, sentences, word, write


def planned(
    facts: DataFacts, minutes: float | None = None, *overrides: str, objective: str = "pairs"
) -> Plan:
    """A plan for given facts."""
    return plan_for(facts, MACHINE, objective, overrides, {"train": ["text"]}, Wishes(minutes))


def facts_of(path: Path, pairs: bool = True) -> DataFacts:
    return measure(read_data_config([str(path)], []), pairs)


def test_words_to_symbols(tmp_path: Path) -> None:
    found = plan(pronunciations(tmp_path), minutes=5)
    text = found.recipe.text
    assert (text.target.kind, text.source and text.source.kind) == ("symbols", "characters")
    assert text.target.vocab_size >= 20 + 5
    assert (found.recipe.optimizer.kind, found.recipe.schedule.kind) == ("muon", "linear")
    assert found.recipe.stop.minutes == 5
    assert found.recipe.training.label_smoothing == 0.1
    rows = found.recipe.batch.tokens / (1 + found.facts.target.words.mean)
    assert 100 < rows < 140, "128 short words a batch"
    assert "20 different symbols" in reason(found, "text.target.kind")


def test_like_sides_share_a_vocabulary(tmp_path: Path) -> None:
    draw = random.Random(5)
    stems = [word(draw) for _ in range(300)]
    path = write(tmp_path / "forms.tsv", [(f"{stem} V;PST", f"{stem}ed") for stem in stems])
    found = plan(path)
    assert found.recipe.text.source is None
    assert found.recipe.text.target.kind == "characters"
    kept = plan(path, "text.source.kind=symbols", "text.source.vocab_size=900")
    assert kept.recipe.text.source is not None
    assert (kept.recipe.text.source.kind, kept.recipe.text.source.vocab_size) == ("symbols", 900)
    assert kept.recipe.text.target.kind == "characters"


def test_rules_without_exceptions_are_learned_in_many_small_steps(tmp_path: Path) -> None:
    made = plan(commands(tmp_path), minutes=0.5)
    assert made.kind == "pairs in words of a closed set"
    assert made.recipe.text.target.kind == "symbols"
    assert made.recipe.model.dropout == 0
    assert made.recipe.model.d_model == SIZES["tiny"].d_model, "small would make too few steps"
    assert plan(commands(tmp_path, 2_000)).recipe.model.dropout > 0, "few are learned by heart"
    letters = plan(pronunciations(tmp_path), "text.source.kind=symbols")
    assert letters.kind == "pairs of short strings"


def test_few_pairs_often_read_are_read_twice(tmp_path: Path) -> None:
    path = pronunciations(tmp_path)
    often, seldom = plan(path), plan(path, "stop.epochs=50")
    assert (often.recipe.training.r_drop, seldom.recipe.training.r_drop) == (2.0, 0.0)
    assert plan(path, "model.dropout=0").recipe.training.r_drop == 0, "both readings would be the same"
    once = plan(path, "training.r_drop=0")
    assert (once.expected.work.loss.readings, often.expected.work.loss.readings) == (1, 2)
    assert often.expected.memory > once.expected.memory
    assert often.expected.seconds > once.expected.seconds


def test_one_stack_is_as_deep_as_two(tmp_path: Path) -> None:
    path = tmp_path / "play.txt"
    draw = random.Random(4)
    path.write_text("\n".join(" ".join(word(draw) for _ in range(8)) for _ in range(400)), "utf-8")
    for size in ("tiny", "small"):
        text, pairs = plan(path, size=size), plan(pronunciations(tmp_path), size=size)
        assert text.recipe.model.decoder_layers == 2 * pairs.recipe.model.decoder_layers


def test_hangul_is_read_as_letters(tmp_path: Path) -> None:
    syllables = "".join(chr(0xAC00 + 37 * place) for place in range(280))
    found = plan(pronunciations(tmp_path, 600, syllables))
    assert found.recipe.text.source is not None
    assert (found.recipe.text.source.kind, found.recipe.text.source.normalize) == ("characters", "nfd")
    assert found.recipe.text.target.normalize == "none"
    assert "Korean" in reason(found, "text.source.normalize")


def test_hangul_is_written_as_syllables(tmp_path: Path) -> None:
    syllables = "".join(chr(0xAC00 + 37 * place) for place in range(280))
    draw = random.Random(4)
    words = [word(draw, syllables, 30) for _ in range(600)]
    spoken = plan(write(tmp_path / "spoken.tsv", [(str(ord(each[0])), each) for each in words]))
    assert (spoken.recipe.text.target.kind, spoken.recipe.text.target.normalize) == ("characters", "letters")
    assert "written as syllables" in reason(spoken, "text.target.normalize")
    both = plan(write(tmp_path / "both.tsv", [(each, each[::-1]) for each in words]))
    assert both.recipe.text.source is None
    assert both.recipe.text.target.normalize == "letters"
    assert spoken.recipe.search.max_ratio > 4, "a syllable is several tokens"


def test_like_symbols_share_a_vocabulary(tmp_path: Path) -> None:
    draw = random.Random(6)
    words = [" ".join(word(draw, longest=9)) for _ in range(400)]
    found = plan(write(tmp_path / "forms.tsv", [(f"{each} V PST", f"{each} e d") for each in words]))
    assert (found.recipe.text.source, found.recipe.text.target.kind) == (None, "symbols")
    assert "symbols are of kinds that sources have" in reason(found, "text.target.kind")


def test_unspaced_text_gets_a_token_for_each_character(tmp_path: Path) -> None:
    draw = random.Random(7)
    signs = "".join(chr(0x4E00 + place) for place in range(1500))
    lines = ["".join(draw.choices(signs, k=60)) for _ in range(300)]
    path = tmp_path / "text.txt"
    path.write_text("\n".join(lines), "utf-8")
    found = plan(path)
    assert 261 + 1500 <= found.recipe.text.target.vocab_size <= 2500
    assert "each character" in reason(found, "text.target.vocab_size")


def test_what_is_held_out_is_said_and_bounded(tmp_path: Path) -> None:
    facts = facts_of(pronunciations(tmp_path))
    held = {n: planned(replace(facts, examples=n)).recipe.data.held_out for n in (200, 16_000, 5_000_000)}
    assert held == {200: 0.1, 16_000: 0.02, 5_000_000: 0.001}
    assert "about 5,000" in reason(planned(replace(facts, examples=5_000_000)), "data.held_out")


def test_a_plan_steps_down_to_the_memory_that_there_is(tmp_path: Path) -> None:
    facts = facts_of(sentences(tmp_path))

    def on(memory: float, *overrides: str) -> Plan:
        machine = replace(MACHINE, memory=round(memory * 2**30))
        return plan_for(facts, machine, "pairs", overrides, {"train": ["x"]}, Wishes())

    large = on(64)
    assert large.recipe.batch.tokens == 4096
    small = on(0.66)
    assert small.recipe.batch.tokens < 4096
    assert small.expected.memory < 0.66 * 2**30 < large.expected.memory
    assert "GiB of memory, and there are 0.7" in reason(small, "batch.tokens")
    kept = on(0.55, "batch.tokens=4096", "model.d_ff=700")
    assert kept.recipe.batch.tokens == 4096, "what is given stands"


def test_sentences_get_one_byte_level_vocabulary_that_grows_with_them(tmp_path: Path) -> None:
    found = plan(sentences(tmp_path))
    assert (found.kind, found.recipe.text.source) == ("pairs of sentences", None)
    sizes = []
    for examples in (400, 10_000, 50_000, 160_000, 5_000_000):
        many = planned(replace(found.facts, examples=examples))
        assert many.recipe.text.target.kind == "bpe"
        sizes.append(many.recipe.text.target.vocab_size)
    assert sizes == sorted(set(sizes)), "larger for more"
    assert sizes[3] == 8000


def test_more_data_means_less_dropout_and_fewer_passes(tmp_path: Path) -> None:
    facts = facts_of(pronunciations(tmp_path))
    many = [planned(replace(facts, examples=n)) for n in (300, 3_600, 30_000, 300_000, 5_000_000)]
    dropout = [each.recipe.model.dropout for each in many]
    passes = [each.recipe.stop.epochs for each in many]
    assert dropout == sorted(dropout, reverse=True)
    assert (dropout[1], dropout[-1]) == (0.3, 0.0)
    assert passes == sorted(passes, reverse=True)
    assert passes[0] > passes[-1] >= 3
    assert many[0].recipe.model.d_model < many[2].recipe.model.d_model


def test_text_of_a_small_alphabet_is_learned_by_characters(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    draw = random.Random(4)
    path.write_text("".join(" ".join(word(draw) for _ in range(9)) + "\n" for _ in range(300)), "utf-8")
    small = plan(path)
    assert (small.objective, small.recipe.text.target.kind) == ("causal", "characters")
    assert small.recipe.training.label_smoothing == 0
    large = planned(replace(small.facts, examples=10**6), objective="causal")
    assert large.recipe.text.target.kind == "bpe"
    masked = plan(path, objective="masked")
    assert (masked.recipe.model.encoder_layers > 0, masked.recipe.text.target.kind) == (True, "bpe")
    assert masked.recipe.training.validate_every >= 100


def test_running_text_with_a_validation_file_is_read_to_the_letter(tmp_path: Path) -> None:
    """A list of names is not: each line is a text of its own."""
    draw = random.Random(6)
    for name, length in (("play", 40), ("names", 1)):
        text = ["".join(word(draw) + " " for _ in range(length)) + "\n" for _ in range(60)]
        between = "\n" if name == "play" else ""
        for part in ("train", "valid"):
            (tmp_path / f"{name}.{part}").write_text(between.join(text), "utf-8")
    valid = {name: f"data.valid=['{tmp_path / name}.valid']" for name in ("play", "names")}
    assert plan(tmp_path / "play.train", valid["play"]).recipe.data.layout == "file"
    assert plan(tmp_path / "play.train").recipe.data.layout == "auto"
    assert plan(tmp_path / "names.train", valid["names"]).recipe.data.layout == "auto"
    asked = plan(tmp_path / "play.train", valid["play"], "data.layout=documents")
    assert asked.recipe.data.layout == "documents"


def test_time_decides_the_size(tmp_path: Path) -> None:
    facts = replace(facts_of(sentences(tmp_path)), examples=160_000)
    seconds, usual, long = (planned(facts, minutes) for minutes in (0.2, 30, 3000))
    widths = [each.recipe.model.d_model for each in (seconds, usual, long)]
    assert widths[0] < widths[1] == SIZES["medium"].d_model == widths[2], "base asks for more pairs"
    assert "0.2 minutes" in reason(seconds, "model.d_model")
    more = planned(replace(facts, examples=600_000), 60_000)
    assert more.recipe.model.d_model == SIZES["base"].d_model
    assert "60000 minutes" in reason(more, "model.d_model")
    assert usual.expected.seconds == pytest.approx(30 * 60, rel=0.01)


def test_the_rest_goes_by_what_is_given(tmp_path: Path) -> None:
    path = sentences(tmp_path)
    plain, wide = plan(path), plan(path, "model.d_model=512", "stop.steps=700")
    assert wide.recipe.model.d_ff == 2048
    assert wide.recipe.model.d_model % wide.recipe.model.attention.num_heads == 0
    assert wide.expected.seconds / wide.expected.steps > 3 * plain.expected.seconds / plain.expected.steps
    assert wide.expected.parameters > plain.expected.parameters
    assert (wide.expected.steps, wide.recipe.stop.epochs, wide.recipe.stop.minutes) == (700, 0, 0)
    assert wide.recipe.stop.patience == 0
    assert wide.recipe.optimizer.rate < plain.recipe.optimizer.rate  # type: ignore[operator]
    assert reason(wide, "stop.steps") == "as given"
    adam = plan(path, "optimizer.kind=adamw")
    assert adam.recipe.optimizer.rate < plain.recipe.optimizer.rate  # type: ignore[operator]
    named = plan(path, "preset=paper-base", "stop.steps=5")
    assert (named.recipe.model.d_model, named.recipe.model.norm.position) == (512, "post")
    longer = plan(path, "stop.minutes=7", minutes=3)
    assert longer.recipe.stop.minutes == 7
    assert plan(path, "seed=7").recipe.seed == 7
    assert plan(path, "schedule.kind=constant").recipe.schedule.kind == "constant"


def test_dials(tmp_path: Path) -> None:
    path = pronunciations(tmp_path, 300)
    assert plan(path, size="base").recipe.model.d_model == 512
    with pytest.raises(RecipeError, match="did you mean 'small'"):
        plan(path, size="smal")
    with pytest.raises(RecipeError, match="above 0"):
        plan(path, minutes=-1)


def test_an_override_that_makes_no_sense_is_told_of(tmp_path: Path) -> None:
    path = pronunciations(tmp_path, 300)
    for override, message in (
        ("model.d_model=wide", "d_model"),
        ("batch.tokens=many", "batch.tokens"),
        ("model.d_model=0", "d_model"),
        ("stop.minutes=never", "stop.minutes"),
        ("text.target.vocab_size=big", "vocab_size"),
        ("optimizer.rate=fast", "optimizer.rate"),
        ("preset=none-such", "preset"),
        ("model.dropuot=0", "did you mean 'dropout'"),
    ):
        with pytest.raises(UserError, match=message):
            plan(path, override)


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: replace(facts, examples=200),
        lambda facts: replace(facts, examples=5_000_000, read=20_000),
    ],
    ids=["200 pairs", "5 million pairs"],
)
@pytest.mark.parametrize("make", [pronunciations, sentences])
def test_extremes_are_sane(
    tmp_path: Path, make: Callable[[Path], Path], change: Callable[[DataFacts], DataFacts]
) -> None:
    facts = change(facts_of(make(tmp_path)))
    for minutes in (None, 10):
        found = planned(facts, minutes)
        recipe = found.recipe
        assert recipe.data.held_out * facts.examples >= 20
        assert 1 <= recipe.schedule.warmup < found.expected.steps
        assert recipe.stop.minutes or recipe.stop.epochs >= 3
    assert resolve(found.table) == found.recipe, "what is shown is the whole of it"
    assert all(choice.reason for choice in found.choices)
    assert MACHINE.memory is not None
    assert found.expected.memory < MACHINE.memory


def test_long_pairs_fit_into_a_batch(tmp_path: Path) -> None:
    draw = random.Random(7)
    long = [" ".join(word(draw) for _ in range(1000)) for _ in range(30)]
    found = plan(write(tmp_path / "long.tsv", [(text, text[::-1]) for text in long]))
    assert found.kind == "pairs of sentences"
    assert found.recipe.batch.tokens >= 2000
    summaries = plan(write(tmp_path / "short.tsv", [(text[:90], text) for text in long]))
    assert summaries.recipe.search.max_ratio > 20, "room for the longest target"


def test_chinese_needs_no_blanks(tmp_path: Path) -> None:
    draw = random.Random(8)
    lines = ["".join(chr(0x4E00 + draw.randint(0, 2500)) for _ in range(30)) for _ in range(400)]
    found = plan(
        write(tmp_path / "zh.tsv", [(line, f"the {len(line)} signs of {line[:3]}") for line in lines])
    )
    assert found.facts.source is not None
    assert found.facts.source.unspaced > 0.9
    assert found.recipe.text.target.kind == "bpe"


def test_what_teaches_nothing_is_refused(tmp_path: Path) -> None:
    same = write(tmp_path / "same.tsv", [("a b", "c d")] * 500)
    with pytest.raises(DataError, match="500 pairs, of which 1 differ"):
        plan(same)
    constant = write(tmp_path / "constant.tsv", [(str(number), "yes") for number in range(100)])
    with pytest.raises(DataError, match="targets are the same"):
        plan(constant)
    lines = tmp_path / "lines.txt"
    lines.write_text("one and the same line\n" * 500, "utf-8")
    with pytest.raises(DataError, match="500 documents, of which 1 differ"):
        plan(lines)
    few = facts_of(write(tmp_path / "few.tsv", [("a", "b"), ("c", "d")]))
    refuse_hopeless(few, "few.tsv")
    assert "2 different pairs" in scarce(few)


def test_a_model_to_start_from_keeps_its_shape(tmp_path: Path, tiny_runs: dict[str, Path]) -> None:
    path = pronunciations(tmp_path, 300)
    found = plan(path, start_from=str(tiny_runs["pairs"]))
    assert found.recipe.model.d_model == 32
    assert found.recipe.optimizer.rate == 1e-4
    assert found.recipe.optimizer.kind == "adamw"
    assert not {"model", "text", "preset"} & found.table.keys()
    with pytest.raises(UserError, match="size already"):
        plan(path, start_from=str(tiny_runs["pairs"]), size="base")
    with pytest.raises(UserError, match="learns pairs, not causal"):
        plan(path, start_from=str(tiny_runs["pairs"]), objective="causal")
