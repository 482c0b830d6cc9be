"""Which texts count as the same."""

from hypothesis import given
from hypothesis import strategies as st

from headway.text.normalize import same_text_key


def test_case_blanks_and_unicode_form_make_no_difference() -> None:
    assert same_text_key(" Stra\u00dfe\u00a0 12\tCafe\u0301 ") == same_text_key("STRASSE 12 caf\u00e9")


def test_other_words_and_signs_make_a_difference() -> None:
    assert len({same_text_key(text) for text in ("a b", "ab", "a, b", "b a", "a b?")}) == 5


@given(st.text(max_size=40))
def test_blanks_around_never_matter(text: str) -> None:
    assert same_text_key(f"\n {text}\t") == same_text_key(text)
