"""All that a beam search looked at, as a tree: what it kept, what it dropped, what it ended with."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from headway.decoding.beam import Extension, beam_search
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
    nodes: list[Node] = field(default_factory=list)
    live: list[int] = field(default_factory=lambda: [-1])
    """The node at which each beam stands."""

    def __call__(self, extension: Extension) -> None:
        candidates = extension.candidates
        made: dict[int, int] = {}
        columns = (
            candidates.ids[0, :, -1],
            candidates.rank[0],
            extension.beam[0],
            extension.ends[0],
            extension.counts[0],
        )
        picked = extension.picked[0].tolist()
        for place, (token, rank, beam, ends, counts) in enumerate(
            zip(*(each.tolist() for each in columns), strict=True)
        ):
            if rank == float("-inf"):
                continue
            step = candidates.ids.shape[2]
            score = rank / penalty(step, self.length_penalty)
            made[place] = len(self.nodes)
            kept = counts if ends else place in picked
            self.nodes.append(
                Node(len(self.nodes), self.live[beam], step, token, "", rank, score, kept, ends)
            )
        self.live = [made.get(place, -1) for place in picked]


def search_tree(ensemble: Ensemble, search: SearchConfig, text: str) -> tuple[list[Node], list[Found]]:
    """The tree of a beam search for one source or prompt, and its best hypotheses, best first.

    Raises UserError for a masked model, and for a search that is none with beams.
    """
    if ensemble.architecture == "encoder":
        raise UserError("a masked language model does not search: it fills blanks one by one")
    if search.method != "beam":
        raise UserError(f"search.method = {search.method!r} has no beams: choose method = 'beam'")
    request = _request(ensemble, search, text)
    watch = TreeWatch(search.length_penalty)
    with ensemble.evaluating():
        sources = None if request.source is None else [request.source]
        steps, first = ensemble.begin(sources, [request.start], search.beams)
        [found] = beam_search(
            steps,
            first[:1],
            Room([request.shortest], [request.longest]),
            search,
            cut_competes=ensemble.architecture == "decoder",
            special=ensemble.tokenizers.target.special,
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
