"""HTML around text that is translated: tags stay, and stay around what they stood around."""

import time

import pytest

from headway.serving.markup import Passage, passages_of

WORDS = {"der": "the", "alte": "old", "könig": "king", "sprach": "spoke", "und": "and", "ging": "went"}


def word_by_word(text: str) -> str:
    return " ".join(WORDS.get(word.lower(), word) for word in text.split())


def backwards(text: str) -> str:
    return " ".join(word_by_word(text).split()[::-1])


def filled(page: str, translate: object) -> str:
    assert callable(translate)
    return "".join(
        part.filled([translate(text) for text in part.asks]) if isinstance(part, Passage) else part
        for part in passages_of(page)
    )


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("Der König sprach", "the king spoke"),
        ("<p>Der <b>alte</b> König</p>", "<p>the <b>old</b> king</p>"),
        ("<p>\n  Der <i>König</i>\n</p>\n<p> sprach </p>", "<p>\n  the <i>king</i>\n</p>\n<p> spoke </p>"),
        ('<a href="x>y" title=\'a\'>Der</a> König', '<a href="x>y" title=\'a\'>the</a> king'),
        ("der <i>alte <b>König</b></i> sprach", "the <i>old <b>king</b></i> spoke"),
        ("<b>der</b> <i>alte</i> <u>König</u>", "<b>the</b> <i>old</i> <u>king</u>"),
        ("der<br>König<hr/>sprach", "the<br>king<hr/>spoke"),
        ("<script>a < '</p>'</script>der<!-- a --> König", "<script>a < '</p>'</script>the<!-- a --> king"),
        ("der <code>der</code> König", "the <code>der</code> king"),
        ("der &amp; König &lt;b&gt; a < b", "the &amp; king &lt;b&gt; a &lt; b"),
        ("<b>der", "<b>the"),
        ("</b>der<", "</b>der&lt;"),
        ("", ""),
        (" \n ", " \n "),
    ],
)  # fmt: skip
def test_text_is_translated_and_tags_stay(page: str, expected: str) -> None:
    assert filled(page, word_by_word) == expected


def test_tags_go_with_their_words_where_the_order_changes() -> None:
    assert filled("der <b>alte</b> König", backwards) == "king <b>old</b> the"
    # A word that is written as in the source is met even where its own output is another.
    assert filled(
        "der König <b>Pippin</b> sprach", lambda t: "?" if t == "Pippin" else f"so {word_by_word(t)}"
    ) == ("so the king <b>Pippin</b> spoke")


def test_where_words_are_not_met_tags_share_the_words_in_their_order() -> None:
    assert filled("<b>der</b> alte <i>König</i>", backwards) == "<b>king</b> old <i>the</i>"
    assert filled("der <b>alte</b> König", lambda text: "uno dos tres" if " " in text else "?") == (
        "uno <b>dos</b> tres"
    )
    assert filled("der <b>alte</b> König", lambda _: "") == "<b></b>"


def test_what_a_model_adds_is_kept() -> None:
    def politely(text: str) -> str:
        return f"so {word_by_word(text)}" if " " in text else word_by_word(text)

    assert filled("der <b>alte</b> König", politely) == "so the <b>old</b> king"
    assert filled("<b>der</b> König", politely) == "<b>so the</b> king"


def test_what_a_model_says_never_becomes_a_tag() -> None:
    assert (
        filled("<p>der</p>", lambda _: "<script>x</script>&") == "<p>&lt;script&gt;x&lt;/script&gt;&amp;</p>"
    )


def test_no_text_takes_long() -> None:
    begin = time.process_time()
    for piece in ("<a \"'", "<!--", "<a ", "<script>", "<", "<b>x", "<a b='c' "):
        filled(piece * (20_000 // len(piece)), str.upper)
    assert time.process_time() - begin < 5
