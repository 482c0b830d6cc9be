"""All that a beam search looked at, as a tree: what it kept, what it dropped, what it ended with."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from headway.decoding.beam import Candidate, Taken, beam_search
from headway.decoding.ensemble import Ensemble
from headway.decoding.hypothesis import Found, penalty
from headway.decoding.requests import Request, pair_request, prompt_request
from headway.decoding.sample import Room
from headway.decoding.settings import SearchConfig
from headway.errors import UserError


@dataclass(frozen=True)
class Node:
    """One token after what leads to it; `id` is its place in the list, `parent` -1 at the first token."""

    id: int
    parent: int
    step: int
    """Tokens so far, this one included."""
    token: int
    text: str
    log_prob: float
    """Sum over the tokens so far."""
    score: float
    """That sum divided by the length penalty, by which ended ones are compared."""
    kept: bool
    """Whether the search went on from it, or counted it as ended."""
    finished: bool
    """Whether it is an end, </s>."""
    best: bool = False
    """Whether it lies on the way to the best hypothesis."""


@dataclass
class TreeWatch:
    """Grows the tree of one source while a search runs."""

    length_penalty: float
    end: int
    """The token that ends a text."""
    nodes: list[Node] = field(default_factory=list)
    live: list[int] = field(default_factory=lambda: [-1])
    """The node at which each beam stands."""

    def __call__(self, candidates: Sequence[Candidate], taken: Taken) -> None:
        made: dict[int, int] = {}
        step = self.nodes[self.live[0]].step + 1 if self.nodes else 1
        for place, each in enumerate(candidates):
            if each.rank == float("-inf"):
                continue
            made[place] = len(self.nodes)
            self.nodes.append(
                Node(
                    id=len(self.nodes),
                    parent=self.live[each.beam],
                    step=step,
                    token=each.token,
                    text="",
                    log_prob=each.rank,
                    score=each.rank / penalty(step, self.length_penalty),
                    kept=place in taken.going or place in taken.ended,
                    finished=each.token == self.end,
                )
            )
        self.live = [made[place] for place in taken.going]


def search_tree(ensemble: Ensemble, search: SearchConfig, text: str) -> tuple[list[Node], list[Found]]:
    """The tree of a beam search for one source or prompt, and its best hypotheses, best first.

    Raises UserError for a masked model, and for a search that is none with beams.
    """
    if ensemble.architecture == "encoder":
        raise UserError("a masked language model does not search: it fills blanks one by one")
    if search.method != "beam":
        raise UserError(f"search.method = {search.method!r} has no beams: choose method = 'beam'")
    request = _request(ensemble, search, text)
    special = ensemble.tokenizers.target.special
    watch = TreeWatch(search.length_penalty, special.end)
    with ensemble.evaluating():
        sources = None if request.source is None else [request.source]
        steps, first = ensemble.begin(sources, [request.start], search.beams)
        [found] = beam_search(
            steps,
            first[:1],
            Room([request.shortest], [request.longest]),
            search,
            special,
            cut_competes=ensemble.architecture == "decoder",
            watch=watch,
        )
    pieces = ensemble.tokenizers.target.pieces(node.token for node in watch.nodes)
    best = best_path(watch.nodes, found[0].ids)
    nodes = [
        replace(node, text=piece, best=node.id in best)
        for node, piece in zip(watch.nodes, pieces, strict=True)
    ]
    return nodes, found


def best_path(nodes: Sequence[Node], ids: Sequence[int]) -> set[int]:
    """The nodes that lead along some tokens from the root."""
    children = {(node.parent, node.token): node.id for node in nodes}
    path, at = set(), -1
    for token in ids:
        at = children[at, token]
        path.add(at)
    return path


def _request(ensemble: Ensemble, search: SearchConfig, text: str) -> Request:
    source, target = ensemble.tokenizers
    if source is None:
        return prompt_request(target.encode(text), search, ensemble.context)
    return pair_request(source.encode(text), [], search, ensemble.target_room)
