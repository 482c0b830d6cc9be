"""BLEU, chrF and TER by sacreBLEU, whose signatures say exactly what was computed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import _bootstrap_resample

from headway.evaluation.bootstrap import SAMPLES, bounds_of, chance_of
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
    """Both systems' BLEU, chrF and TER, compared by the paired bootstrap (Koehn 2004)."""
    found = []
    for name, metric in _metrics(tokenize, lowercase).items():
        systems = [
            metric._extract_corpus_statistics(list(each), _streams(references)) for each in (first, second)
        ]
        one, other = (float(metric._aggregate_and_compute(each).score) for each in systems)
        samples, others = (_resampled(metric, each) for each in systems)
        low, high = bounds_of(samples - others)
        p_value = chance_of(one - other, samples - others)
        found.append(Comparison(name=name, first=one, second=other, p_value=p_value, low=low, high=high))
    return found


def _resampled(metric: Metric, statistics: Any) -> Float[np.ndarray, "M"]:
    """The score of each of many draws of as many examples, the same draws for every system."""
    _, scores = _bootstrap_resample(statistics, metric, SAMPLES)
    return np.array([score.score for score in scores], dtype=np.float64)


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
