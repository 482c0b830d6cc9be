"""The tree of a search holds all that it looked at, and its best path is what it found."""

from itertools import pairwise

import pytest

from headway.decoding.generator import Generator
from headway.decoding.hypothesis import penalty
from headway.decoding.settings import SearchConfig
from headway.errors import UserError
from headway.inspection.search_tree import Node, search_tree
from tests.decoding.toys import byte_pairs, tiny, words

SEARCHES = [
    SearchConfig(beams=1, length_penalty=0.0, max_length=6),
    SearchConfig(beams=3, max_length=8, min_length=2),
    SearchConfig(beams=5, n_best=3, length_penalty=1.2, max_length=5),
]


def path_to(nodes: list[Node], last: Node) -> list[Node]:
    path = [last]
    while path[0].parent >= 0:
        path.insert(0, nodes[path[0].parent])
    return path


@pytest.mark.parametrize("layers", [(1, 1), (0, 1)])
@pytest.mark.parametrize("search", SEARCHES, ids=lambda each: f"{each.beams} beams")
def test_the_best_path_is_what_the_search_finds(search: SearchConfig, layers: tuple[int, int]) -> None:
    for seed, text in enumerate(words(3)):
        ensemble = tiny(*layers, byte_pairs(), seed=seed)
        [[best, *_]] = Generator(ensemble, search).generate([text])
        nodes, _ = search_tree(ensemble, search, text)
        path = [node for node in nodes if node.best]
        assert path == path_to(nodes, path[-1])
        assert [node.token for node in path if not node.finished] == best.ids
        assert path[-1].finished == best.finished
        assert path[-1].score == pytest.approx(best.score, abs=1e-4)
        steps = [b.log_prob - a.log_prob for a, b in pairwise(path)]
        assert [path[0].log_prob, *steps] == pytest.approx(best.log_probs, abs=1e-4)


def test_a_tree_is_a_tree() -> None:
    search = SearchConfig(beams=3, max_length=7)
    nodes, _ = search_tree(tiny(1, 1, byte_pairs()), search, "the cat")
    assert [node.id for node in nodes] == list(range(len(nodes)))
    for node in nodes:
        parent = nodes[node.parent] if node.parent >= 0 else None
        assert node.parent < node.id
        assert node.step == (parent.step if parent else 0) + 1
        assert parent is None or parent.kept
        assert parent is None or not parent.finished
        assert parent is None or node.log_prob <= parent.log_prob
        assert node.score == pytest.approx(node.log_prob / penalty(node.step, 0.6))
    assert len({(node.parent, node.token) for node in nodes}) == len(nodes)
    for step in {node.step for node in nodes}:
        level = [node for node in nodes if node.step == step]
        kept = [node for node in level if node.kept and not node.finished]
        dropped = [node for node in level if not node.kept and not node.finished]
        assert len(kept) == 3
        assert len(level) == 6
        assert min(node.log_prob for node in kept) >= max((node.log_prob for node in dropped), default=-1e9)


def test_an_end_counts_only_among_the_best() -> None:
    ended = []
    for seed in range(5):
        nodes, _ = search_tree(tiny(1, 1, seed=seed), SearchConfig(beams=2, max_length=9), "cab")
        for step in {node.step for node in nodes}:
            level = sorted((each for each in nodes if each.step == step), key=lambda each: -each.log_prob)
            ended += [(node in level[:2], node.kept) for node in level if node.finished]
    assert ended
    assert all(among == kept for among, kept in ended)


def test_a_watch_changes_nothing_and_texts_are_pieces() -> None:
    ensemble = tiny(0, 1, byte_pairs())
    search = SearchConfig(beams=3, max_length=5)
    nodes, found = search_tree(ensemble, search, "the")
    [[best, *_]] = Generator(ensemble, search).generate(["the"])
    assert found[0].log_probs == pytest.approx(best.log_probs)
    assert [node.text for node in nodes] == byte_pairs().pieces(node.token for node in nodes)


def test_what_has_no_tree_is_refused() -> None:
    with pytest.raises(UserError, match="does not search"):
        search_tree(tiny(1, 0), SearchConfig(), "cab")
    with pytest.raises(UserError, match="no beams"):
        search_tree(tiny(0, 1), SearchConfig(method="greedy", max_length=3), "cab")
