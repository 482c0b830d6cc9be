"""BLEU, chrF and TER by sacreBLEU, whose signatures say exactly what was computed."""

from collections.abc import Sequence
from typing import Any

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest, Result

from headway.evaluation.bootstrap import SAMPLES
from headway.evaluation.exact import References
from headway.evaluation.result import Comparison, Measure


def translation_measures(
    outputs: Sequence[str], references: References, *, tokenize: str = "13a", lowercase: bool = False
) -> list[Measure]:
    """BLEU, chrF and TER with sacreBLEU's intervals; `tokenize` is BLEU's: 13a, intl, char, zh, none …"""
    found = []
    for name, metric in _metrics(tokenize, lowercase).items():
        score = metric.corpus_score(list(outputs), _streams(references), n_bootstrap=SAMPLES)
        found.append(
            Measure(
                name=name,
                value=float(score.score),
                low=float(score._mean - score._ci),
                high=float(score._mean + score._ci),
                lower_is_better=name == "TER",
                signature=str(metric.get_signature()),
            )
        )
    return found


def compare_translations(
    first: Sequence[str],
    second: Sequence[str],
    references: References,
    *,
    tokenize: str = "13a",
    lowercase: bool = False,
) -> list[Comparison]:
    """Both systems' BLEU, chrF and TER with the paired bootstrap's p-values (Koehn 2004)."""
    metrics = _metrics(tokenize, lowercase)
    systems: list[tuple[str, Sequence[str]]] = [("first", list(first)), ("second", list(second))]
    test = PairedTest(systems, metrics, _streams(references), test_type="bs", n_samples=SAMPLES)
    _, results = test()
    found = []
    for name, (a, b) in zip(metrics, (pair for key, pair in results.items() if key != "System"), strict=True):
        assert isinstance(a, Result)
        assert isinstance(b, Result)
        assert b.p_value is not None
        # Where the scores are equal sacreBLEU's value means nothing: there is no difference to explain.
        p_value = 1.0 if a.score == b.score else float(b.p_value)
        found.append(Comparison(name=name, first=float(a.score), second=float(b.score), p_value=p_value))
    return found


class _Chrf(CHRF):
    """chrF whose scores are all plain floats: resampled ones are NumPy's, which statistics.mean refuses."""

    def _compute_f_score(self, statistics: Any) -> float:
        return float(super()._compute_f_score(statistics))


def _metrics(tokenize: str, lowercase: bool) -> dict[str, Metric]:
    return {
        "BLEU": BLEU(tokenize=tokenize, lowercase=lowercase, force=True),  # force: no warning about blanks
        "chrF": _Chrf(lowercase=lowercase),
        "TER": TER(case_sensitive=not lowercase),
    }


def _streams(references: References) -> list[list[Any]]:
    """References as sacreBLEU takes them: first ones, second ones …, None where an example has fewer."""
    most = max(len(several) for several in references)
    return [
        [several[index] if index < len(several) else None for several in references] for index in range(most)
    ]
