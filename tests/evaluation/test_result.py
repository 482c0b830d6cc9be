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
    comparisons=[Comparison(name="BLEU", first=34.123, second=0.0123, p_value=0.001, low=30.5, high=37.0)],
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
    comparison = Comparison(
        name="symbol error rate", first=34.12, second=34.12, p_value=1.0, low=0.0, high=0.0
    )
    text = printed(
        Evaluation(examples=9, systems=dict.fromkeys(names, bounded), comparisons=[comparison]), width=80
    )
    assert text.count("33.00–35.25") == 4
    assert text.count("34.12 %") == 4
    assert "1.000" in text


def test_without_a_comparison_there_is_no_column_for_it() -> None:
    alone = Evaluation(examples=1, systems={"model": [Measure(name="BLEU", value=1.0)]})
    assert " p " not in printed(alone)


def test_a_difference_is_told_in_words() -> None:
    near = Comparison(name="BLEU", first=30.4, second=30.0, p_value=0.31, low=-0.5, high=1.2)
    told = "the difference of 0.4 lies within noise: p = 0.31; 95 % interval of the difference [-0.5, 1.20]"
    assert near.in_words() == told
    far = Comparison(name="BLEU", first=28.0, second=30.0, p_value=0.001, low=-3.0, high=-1.0)
    assert far.in_words().startswith("the difference of -2.00 is more than noise: p = 0.001;")
    both = Evaluation(examples=9, systems={"model": []}, comparisons=[near, far])
    assert [each["within_noise"] for each in json.loads(both.to_json())["comparisons"]] == [True, False]
    text = " ".join(printed(both).split())
    assert f"BLEU, first less second: {told}" in text
