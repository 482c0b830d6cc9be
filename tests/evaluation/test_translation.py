"""BLEU, chrF and TER: sacreBLEU's own figures, with its signature."""

import random

import pytest
import sacrebleu
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest, Result

from headway.evaluation.translation import compare_translations, translation_measures

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "saw",
    "one",
    "black",
    "dog",
    "near",
    "her",
    "old",
    "house",
]


def sentences(count: int) -> list[str]:
    return [" ".join(random.choices(WORDS, k=random.randint(4, 9))) for _ in range(count)]


def damaged(lines: list[str], share: float) -> list[str]:
    return [
        " ".join(random.choice(WORDS) if random.random() < share else word for word in line.split())
        for line in lines
    ]


def test_the_figures_are_those_of_sacrebleu() -> None:
    references = sentences(20)
    outputs = damaged(references, 0.3)
    bleu, chrf, ter = translation_measures(outputs, [[reference] for reference in references])
    assert bleu.value == pytest.approx(sacrebleu.corpus_bleu(outputs, [references]).score)
    assert chrf.value == pytest.approx(sacrebleu.corpus_chrf(outputs, [references]).score)
    assert ter.value == pytest.approx(sacrebleu.corpus_ter(outputs, [references]).score)
    assert [measure.lower_is_better for measure in (bleu, chrf, ter)] == [False, False, True]
    for measure in (bleu, chrf, ter):
        assert f"version:{sacrebleu.__version__}" in measure.signature
        assert "bs:1000" in measure.signature
        assert measure.low is not None
        assert measure.high is not None
        assert measure.low < measure.value < measure.high


def test_examples_may_have_different_numbers_of_references() -> None:
    references = [["the cat sat on a mat", "a cat was sitting there"], ["one dog saw her house"]]
    for outputs in (
        ["the cat sat on a mat", "one dog saw her house"],
        ["a cat was sitting there", "one dog saw her house"],
    ):
        bleu, chrf, ter = translation_measures(outputs, references)
        assert (bleu.value, chrf.value, ter.value) == pytest.approx((100, 100, 0))


def test_case_and_tokenizer_are_told_in_the_signature() -> None:
    references = [["The Cat Sat On A Mat"]]
    strict = translation_measures(["the cat sat on a mat"], references)
    loose = translation_measures(["the cat sat on a mat"], references, tokenize="char", lowercase=True)
    assert [loose[0].value, loose[2].value] == pytest.approx([100, 0])
    assert strict[0].value < 100
    assert strict[2].value > 0
    assert "case:lc" in loose[0].signature
    assert "tok:char" in loose[0].signature


def test_a_comparison_tells_a_difference_from_chance() -> None:
    references = sentences(40)
    several = [[reference] for reference in references]
    good, bad = damaged(references, 0.1), damaged(references, 0.5)
    clear = compare_translations(good, bad, several)
    assert [comparison.name for comparison in clear] == ["BLEU", "chrF", "TER"]
    for comparison, measure in zip(clear, translation_measures(good, several), strict=True):
        assert comparison.p_value < 0.01
        assert comparison.first == pytest.approx(measure.value)
    for comparison in compare_translations(good, good, several):
        assert comparison.p_value == 1
    same = damaged(references, 0.1)
    assert all(comparison.p_value > 0.05 for comparison in compare_translations(good, same, several))


def test_a_comparison_has_the_scores_of_sacrebleus_paired_test() -> None:
    references = sentences(60)
    first, second = damaged(references, 0.25), damaged(references, 0.3)
    several = [[reference] for reference in references]
    metrics = {"BLEU": BLEU(force=True), "TER": TER()}
    systems = [("first", first), ("second", second)]
    _, theirs = PairedTest(systems, metrics, [references], test_type="bs", n_samples=1000)()
    ours = {each.name: each for each in compare_translations(first, second, several)}
    for name in metrics:
        result = theirs[name][1]
        assert isinstance(result, Result)
        assert ours[name].second == pytest.approx(result.score)
        assert ours[name].low < ours[name].difference < ours[name].high


def test_intervals_survive_samples_without_any_match() -> None:
    outputs, references = ["one and xx", "zzz", "qqq"], [["one and two"], ["three and four"], ["six"]]
    chrf = next(each for each in translation_measures(outputs, references) if each.name == "chrF")
    assert chrf.low is not None
    assert chrf.low <= chrf.value
    assert "chrF" in chrf.signature or "nc:6" in chrf.signature
    assert len(compare_translations(outputs, outputs, references)) == 3
