"""An evaluation as JSON and as a table."""

import json
import math

from rich.console import Console

from headway.evaluation.result import Comparison, Evaluation, Measure

EVALUATION = Evaluation(
    examples=1234,
    systems={
        "model": [
            Measure(name="BLEU", value=34.123, low=33.0, high=35.25, signature="nrefs:1|case:mixed"),
            Measure(name="perplexity", value=math.inf, lower_is_better=True),
        ],
        "copy the source": [Measure(name="BLEU", value=0.0123), Measure(name="CER", value=50.0, unit="%")],
    },
    comparisons=[Comparison(name="BLEU", first=34.123, second=0.0123, p_value=0.001)],
)


def printed(evaluation: Evaluation, width: int = 120) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(evaluation.table())
    return capture.get()


def test_json_holds_everything_and_only_json() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    table = json.loads(EVALUATION.to_json(), parse_constant=refuse)
    assert table["examples"] == 1234
    bleu, perplexity = table["systems"]["model"]
    assert (bleu["name"], bleu["value"], bleu["low"], bleu["high"]) == ("BLEU", 34.123, 33.0, 35.25)
    assert bleu["signature"] == "nrefs:1|case:mixed"
    assert perplexity["value"] is None
    assert table["comparisons"][0]["p_value"] == 0.001


def test_the_table_has_a_row_a_measure_and_a_column_a_system() -> None:
    text = printed(EVALUATION)
    lines = {line.split()[1]: line for line in text.splitlines() if "↑" in line or "↓" in line}
    assert "34.12" in lines["BLEU"]
    assert "33.00–35.25" in text
    assert "0.0123" in lines["BLEU"]
    assert "0.001" in lines["BLEU"]
    assert "inf" in lines["perplexity"]
    assert "↓" in lines["perplexity"]
    assert "50.00 %" in lines["CER"], "a measure of a baseline alone has its row"
    for part in ("model", "copy the", "source", "1,234 examples", "nrefs:1|case:mixed"):
        assert part in text


def test_four_systems_and_a_comparison_fit_80_columns() -> None:
    bounded = [Measure(name="symbol error rate", value=34.12, low=33.0, high=35.25, unit="%")]
    names = ("model", "other", "copy the source", "commonest output")
    comparison = Comparison(name="symbol error rate", first=34.12, second=34.12, p_value=1.0)
    text = printed(
        Evaluation(examples=9, systems=dict.fromkeys(names, bounded), comparisons=[comparison]), width=80
    )
    assert text.count("33.00–35.25") == 4
    assert text.count("34.12 %") == 4
    assert "1.000" in text


def test_without_a_comparison_there_is_no_column_for_it() -> None:
    alone = Evaluation(examples=1, systems={"model": [Measure(name="BLEU", value=1.0)]})
    assert " p " not in printed(alone)
