"""Whether a search with beams finds what the model likes better than what greedy search finds."""

from headway.decoding.settings import SearchConfig
from headway.verification.law import Law
from headway.verification.subject import Subject


def beam_below_greedy(subject: Subject) -> Law:
    """The share of texts for which the best beam is less likely than the greedy output.

    At length penalty 0, since only there a beam's score is what the model gives the text. No search with a
    bounded number of beams promises that there is none; so the share is told.
    """
    search = subject.pipeline.search
    beams = search.beams if search.method == "beam" and search.beams > 1 else SearchConfig().beams
    greedy = subject.search(subject.prompts, SearchConfig(method="greedy", length_penalty=0.0))
    best = subject.search(subject.prompts, SearchConfig(beams=beams, length_penalty=0.0))
    gains = [beam.score - other.score for beam, other in zip(best, greedy, strict=True)]
    below = sum(
        gain < -subject.tolerance * (1 + len(g.log_probs)) for gain, g in zip(gains, greedy, strict=True)
    )
    above = sum(
        gain > subject.tolerance * (1 + len(g.log_probs)) for gain, g in zip(gains, greedy, strict=True)
    )
    share = below / len(gains)
    return Law(
        name="beam against greedy",
        holds=None,
        found=f"the best of {beams} beams is less likely than the greedy output for {below} of {len(gains)} "
        f"texts ({share:.1%}), more likely for {above} (length penalty 0)",
        figures={"beams": beams, "below": below, "above": above, "texts": len(gains), "share": share},
    )
