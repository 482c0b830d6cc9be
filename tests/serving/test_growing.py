"""A growing text is told in pieces that never hold what it is to stop at."""

from hypothesis import given
from hypothesis import strategies as some

from headway.serving.growing import GrowingText, cut_at
from headway.text.tokenizer import TokenizerConfig, train_tokenizer

LETTERS = some.text("abc", max_size=12)
STOPS = some.lists(some.text("abc", min_size=1, max_size=4), max_size=3)
TOKENIZER = train_tokenizer(["abc cba", "abcabc"], TokenizerConfig(kind="characters", vocab_size=20))


@given(LETTERS, STOPS)
def test_what_is_told_is_the_text_up_to_the_first_stop(text: str, stops: list[str]) -> None:
    growing = GrowingText(TOKENIZER, [], tuple(stops))
    told = []
    for token in TOKENIZER.encode(text):
        told.append(growing.add(token))
        if growing.stopped:
            break
    told.append(growing.finish(ended=True))
    assert "".join(told) == growing.text == cut_at_first_end(text, stops)
    assert growing.stopped == any(stop in text for stop in stops)


def cut_at_first_end(text: str, stops: list[str]) -> str:
    """The text before the stop that is whole first: a stream cannot know of one that ends later."""
    for end in range(len(text) + 1):
        if any(stop in text[:end] for stop in stops):
            return cut_at(text[:end], stops)
    return text


def test_nothing_is_told_of_what_may_become_a_stop() -> None:
    growing = GrowingText(TOKENIZER, [], ("abc",))
    assert [growing.add(token) for token in TOKENIZER.encode("cabab")] == ["c", "", "", "ab", ""]
    assert growing.finish(ended=True) == "ab"


def test_a_text_is_cut_at_the_first_of_several() -> None:
    assert cut_at("one. two; three", (";", ". ")) == "one"
    assert cut_at("one", ()) == cut_at("one", ("x",)) == "one"
