"""The plan: a recipe for this data on this machine, each choice with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headway.config import Table, apply_overrides, table_of
from headway.errors import RecipeError
from headway.model.config import AttentionConfig, NormConfig, PositionConfig, TransformerConfig
from headway.model.presets import merged, preset
from headway.planning.commands import COMMANDS, are_commands
from headway.planning.draft import Choice, Draft
from headway.planning.expect import Expectation, Pace, pace_of
from headway.planning.facts import MAX_EXTRA, DataFacts
from headway.planning.kind import Kind
from headway.planning.machine import Machine
from headway.planning.room import fit_memory
from headway.planning.sentences import SENTENCES
from headway.planning.shape import SIZED, SIZES, Wishes, put_size, work_of
from headway.planning.strings import STRINGS, are_strings
from headway.planning.texts import CAUSAL, MASKED, is_running_text
from headway.planning.units import Units, units_of
from headway.recipe import Recipe, read_recipe, resolve
from headway.start_from import read_start

ENOUGH_HELD_OUT = 200
"""Examples to judge by, where there are many more."""
AMPLE_HELD_OUT = 5_000
"""More tell little more, and take their time at each look."""
USUAL_HELD_OUT, MOST_HELD_OUT = 0.02, 0.1
"""Shares of the examples."""
FEWEST_PAIRS = 4
"""Of a batch, where pairs are long."""
LONGEST_BATCH = 16_384
"""Tokens of a batch that is as large as it is for the sake of long pairs."""
LOOKS = 20
"""Validations in a run, about."""
FEWEST_STEPS_BETWEEN = 100
FINE_TUNING_RATE = 1e-4
"""Peak learning rate for weights that know something."""
FEWEST_WARM = 20
"""Steps of warm-up in a run of at least twice as many."""
R_DROP = 2.0
"""Weight of two readings' agreement."""
PATIENCE = 8
"""Validations in a row without a better one, after which a run without a given end stops."""
WIDTH_OF_RATES = 256
"""Of the model, beyond which the rate falls with the square root of the width."""


@dataclass(frozen=True)
class Plan:
    """A recipe, and why it is so."""

    objective: str
    kind: str
    facts: DataFacts
    machine: Machine
    choices: tuple[Choice, ...]
    recipe: Recipe
    table: Table
    """The keys of the recipe that are given or chosen."""
    expected: Expectation


def plan_for(
    facts: DataFacts,
    machine: Machine,
    objective: str,
    overrides: Sequence[str],
    data: Table,
    wishes: Wishes,
    start_from: str | None = None,
) -> Plan:
    """The plan for data of these facts; what the overrides say stands, and the rest goes by it.

    A model to start from brings its shape and its vocabularies.

    Raises UserError for overrides that cannot be followed.
    """
    begun = {"data": data} if start_from is None else {"data": data, "start_from": start_from}
    given = apply_overrides(Recipe, begun, overrides)
    if wishes.minutes is not None and "minutes" not in given.get("stop", {}):
        given = merged(given, {"stop": {"minutes": wishes.minutes}})
    try:
        kind, draft, units, pace = _draft(facts, machine, objective, given, wishes)
    except (RecipeError, TypeError, ValueError, ArithmeticError, AttributeError, KeyError):
        read_recipe(objective, overrides, begun)  # says what is wrong with an override
        raise
    recipe = resolve(merged(draft.table, draft.given))
    expected = Expectation(work_of(draft, units), pace)
    order = {key: number for number, key in enumerate(Recipe.__dataclass_fields__)}
    choices = sorted(draft.choices, key=lambda choice: order[choice.key.split(".")[0]])
    whole = dict(sorted(merged(draft.table, draft.given).items(), key=lambda item: order[item[0]]))
    return Plan(objective, kind.name, facts, machine, tuple(choices), recipe, whole, expected)


def kind_for(facts: DataFacts, objective: str) -> Kind:
    """The kind of data that it is, for what is to be learned."""
    if objective == "pairs":
        if are_commands(facts):
            return COMMANDS
        return STRINGS if are_strings(facts) else SENTENCES
    return CAUSAL if objective == "causal" else MASKED


def _draft(
    facts: DataFacts, machine: Machine, objective: str, given: Table, wishes: Wishes
) -> tuple[Kind, Draft, Units, Pace]:
    kind = kind_for(facts, objective)
    draft = Draft(given, _known(given))
    _choose_data(draft, facts, objective)
    if "start_from" in given:
        draft.choose("optimizer.kind", "adamw", "gentle to weights that know something")
        draft.choose("optimizer.rate", FINE_TUNING_RATE, "low: with that of fresh weights they would forget")
    else:
        draft.choose("preset", kind.preset, "for what is not named below")
        kind.choose_text(draft, facts)
    units = units_of(draft, facts)
    _choose_optimizer(draft, kind, 256)
    _choose_batch(draft, kind, facts, units)
    size, reason = _size_for(draft, kind, facts, machine, units, wishes)
    put_size(draft, SIZES[size], kind.stacks, reason)
    fit_memory(draft, kind, units, machine, wishes)
    _choose_optimizer(draft, kind, draft.get("model.d_model"))
    if objective == "pairs" and not draft.is_given("model.d_model"):
        draft.choose("model.bias", False, "a few per cent faster, and no worse")
    pace = pace_of(draft, units, facts, machine, kind)
    _choose_dropout(draft, kind, facts, pace)
    pace = pace_of(draft, units, facts, machine, kind)  # R-Drop takes its time
    _choose_end(draft, kind, pace)
    _choose_search(draft, facts, units, objective)
    return kind, draft, units, pace


def _known(given: Table) -> Table:
    """What a preset stands for, or a model to start from."""
    if isinstance(given.get("start_from"), str):
        start = read_start(given["start_from"])
        sides = zip(("target", "source"), (start.tokenizers.target, start.tokenizers.source), strict=True)
        text = {
            name: {"kind": tokenizer.kind, "vocab_size": tokenizer.vocab_size}
            for name, tokenizer in sides
            if tokenizer is not None and (name == "target" or tokenizer is not start.tokenizers.target)
        }
        return {"model": table_of(start.config), "text": text}
    name = given.get("preset")
    return {"model": _fields_of(preset(name))} if isinstance(name, str) else {}


def _fields_of(fields: Any) -> Table:
    """The fields of a preset, and of the base model for those that it does not name."""
    base = table_of(TransformerConfig(vocab_size=1))
    groups = {
        "attention": table_of(AttentionConfig()),
        "norm": table_of(NormConfig()),
        "positions": table_of(PositionConfig()),
    }
    base.pop("vocab_size")
    return merged(merged(base, groups), fields)


def _choose_data(draft: Draft, facts: DataFacts, objective: str) -> None:
    if objective == "causal" and facts.held_out and is_running_text(facts):
        reason = "running text, and a validation file is named: a file is read as one text, to the letter"
        draft.choose("data.layout", "file", reason)
    if facts.held_out or facts.layout == "file":
        return
    usual = min(USUAL_HELD_OUT, AMPLE_HELD_OUT / facts.examples)
    share = float(f"{min(MOST_HELD_OUT, max(usual, ENOUGH_HELD_OUT / facts.examples)):.2g}")
    draft.choose("data.held_out", share, f"about {share * facts.examples:,.0f} examples to judge by")


def _choose_batch(draft: Draft, kind: Kind, facts: DataFacts, units: Units) -> None:
    if units.source is None:
        context = 256 if kind is CAUSAL else 128
        context = draft.choose("batch.context", context, "what lies further back seldom matters")
        draft.choose("batch.tokens", max(kind.tokens, context), "small batches learn more from each token")
        return
    tokens = kind.tokens
    reason = "small batches learn more from each token"
    if kind.rows is not None:
        rows = max(8, min(kind.rows, facts.examples // 8))
        tokens = min(kind.tokens, -(-round(rows * units.longer) // 32) * 32)
        reason = f"about {round(tokens / units.longer)} pairs of {units.longer:.0f} tokens; {reason}"
    long = min(max(units.longest, round(FEWEST_PAIRS * units.longer)), LONGEST_BATCH)
    if long > tokens:
        tokens, reason = long, f"room for the longest pair, and for {FEWEST_PAIRS} usual ones"
    draft.choose("batch.tokens", tokens, reason)


def _choose_optimizer(draft: Draft, kind: Kind, width: int) -> None:
    if draft.get("start_from") is not None:
        return
    name = draft.choose(
        "optimizer.kind", "muon", "learns more from a step than AdamW does, at little more time"
    )
    rate = kind.rate if name == "muon" else kind.rate / 4
    rate = float(f"{rate * min(1.0, (WIDTH_OF_RATES / width) ** 0.5):.2g}")
    draft.choose("optimizer.rate", rate, "high, since it falls to zero")
    if name != "adam":
        draft.choose("optimizer.weight_decay", 0.01, "small: weights are not to grow without need")
    draft.choose("optimizer.clip", 1.0, "against single bad batches")


def _size_for(
    draft: Draft, kind: Kind, facts: DataFacts, machine: Machine, units: Units, wishes: Wishes
) -> tuple[str, str]:
    """The name of a size, and why it is that one."""
    if wishes.size is not None:
        return wishes.size, f"size {wishes.size}, as asked for"
    amount = facts.characters if units.source is None else facts.examples
    names = list(kind.examples)
    fit = [name for name in names if amount >= kind.examples[name]] or names[:1]
    counted = "characters" if units.source is None else "pairs"
    size = min(kind.size, fit[-1], key=names.index)
    reason = f"size {size}, usual for {kind.name}"
    if size != kind.size:
        reason = f"size {size}, for {amount:,} {counted} are few"
    if any(draft.is_given(key) for key in SIZED) or draft.is_given("preset"):
        return size, reason
    minutes = draft.get("stop.minutes", 0)
    if not minutes:
        return (fit[-1], f"size {fit[-1]}, for {amount:,} {counted}") if fit[-1] != size else (size, reason)

    def pace(name: str) -> Pace:
        trial = draft.copy()
        put_size(trial, SIZES[name], kind.stacks, "")
        return pace_of(trial, units, facts, machine, kind)

    found = pace(size)
    while found.steps < kind.least_steps and names.index(size) > 0:
        smaller = names[names.index(size) - 1]
        reason = f"size {smaller}: in {minutes:g} minutes {size} would make {found.steps:,} steps only"
        size, found = smaller, pace(smaller)
    while found.epochs >= kind.ample_epochs and size != fit[-1]:
        larger = fit[fit.index(size) + 1]
        found = pace(larger)
        if found.epochs < kind.ample_epochs:
            break
        reason = f"size {larger}: in {minutes:g} minutes it still reads the text {found.epochs:.0f} times"
        size = larger
    return size, reason


def _choose_dropout(draft: Draft, kind: Kind, facts: DataFacts, pace: Pace) -> None:
    if pace.epochs <= kind.single_pass:
        reason = f"the text is read {pace.epochs:.1f} times, too seldom to be learned by heart"
        draft.choose("model.dropout", 0.0, reason)
        return
    amount = facts.characters if not facts.pairs else facts.examples
    dropout = round(kind.dropout.at(amount) * 20) / 20
    what = "characters" if not facts.pairs else "pairs"
    reason = f"by the amount of text: {amount:,} {what}, read {pace.epochs:.0f} times"
    dropout = draft.choose("model.dropout", dropout, reason)
    if pace.epochs >= kind.r_drop_epochs and dropout:
        reason = f"few {what}, often read: each is read twice at once, and the two answers are to agree"
        draft.choose("training.r_drop", R_DROP, reason)


def _choose_end(draft: Draft, kind: Kind, pace: Pace) -> None:
    """When to stop, and the schedule up to there."""
    if not pace.is_given:
        draft.choose("stop.epochs", round(pace.epochs), "after so many passes little is gained")
        draft.choose("stop.patience", PATIENCE, "sooner, if held-out text is predicted no better any more")
    draft.choose("schedule.kind", "linear", "down to zero at the end, however long the run")
    warmup = max(1, min(kind.warmup, max(pace.steps // 20, FEWEST_WARM), pace.steps // 2))
    draft.choose("schedule.warmup", warmup, "short: the model has norms before its layers")
    every = max(FEWEST_STEPS_BETWEEN, pace.steps // LOOKS // 10 * 10)
    looks = max(1, pace.steps // every)
    draft.choose("training.validate_every", every, f"about {looks} looks at held-out text")
    draft.choose("training.save_every", draft.get("training.validate_every"), "with each look")
    draft.choose("training.label_smoothing", kind.smoothing, _why_smoothing(kind.smoothing))
    if pace.is_given and kind.smoothing:
        draft.choose("training.final", "last", "the rate ends at zero, so that the last weights are the best")
    else:
        draft.choose("training.final", "best", "the text may be learned by heart before the end")


def _why_smoothing(smoothing: float) -> str:
    if smoothing:
        return "answers are judged, not probabilities"
    return "a language model is judged by its probabilities"


def _choose_search(draft: Draft, facts: DataFacts, units: Units, objective: str) -> None:
    if objective == "causal":
        draft.choose("search.method", "greedy", "the likeliest continuation")
        draft.choose("search.repetition_penalty", 1.1, "small models repeat themselves")
        draft.choose("search.max_length", 100, "a first look, not a book")
    elif units.source is not None:
        characters, words = facts.steepest
        steepest = words if draft.get("text.target.kind") in ("symbols", "words") else characters
        if draft.get("text.target.normalize") == "letters":
            steepest = max(steepest, (units.target.longest - MAX_EXTRA) / max(1, units.source.median))
        if steepest > 1:
            reason = f"a target of the text is {steepest:.1f} times as long as its source"
            draft.choose("search.max_ratio", float(f"{1.2 * steepest:.2g}"), reason)
