"""Formulas are in the page as MathML; all else that has a dollar sign is left alone."""

import pytest
from markdown import Markdown


def html(text: str) -> str:
    return Markdown(extensions=["docs_build.formulas"]).convert(text)


def test_a_formula_in_a_line() -> None:
    made = html(r"The width $d_{\text{model}}$, in *numbers*.")
    assert made.startswith('<p>The width <math xmlns="http://www.w3.org/1998/Math/MathML" display="inline">')
    assert "<msub><mi>d</mi>" in made
    assert made.endswith("</math>, in <em>numbers</em>.</p>")


def test_two_formulas_in_a_line() -> None:
    assert html("from $a_1$ to $b_2$").count("<math") == 2


def test_a_formula_apart() -> None:
    made = html("Then\n\n$$\\frac{a}{b}$$\n\nfollows.")
    assert '<div class="formula"><math' in made
    assert 'display="block"' in made
    assert "<p>Then</p>" in made


def test_a_formula_over_lines() -> None:
    assert "<mfrac>" in html("$$\n\\frac{a}\n{b}\n$$")


@pytest.mark.parametrize("text", ["It costs $5 and $6.", "`$HOME` and `$x$`", r"\$a$", "a $ b $ c"])
def test_what_is_no_formula(text: str) -> None:
    assert "<math" not in html(text)


def test_an_unknown_command_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\\foo in the formula"):
        html(r"$\foo x$")
