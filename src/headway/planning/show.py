"""A plan for people: what was found, what was chosen and why, what to expect; and as a recipe to edit."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomli_w

from headway.planning.draft import Choice
from headway.planning.facts import DataFacts
from headway.planning.plan import Plan
from headway.sealed_folder import write_whole

WIDTH = 100
"""Characters of a line with a reason behind its key; longer ones have it above."""


def facts_lines(facts: DataFacts) -> list[str]:
    """What was measured of the text."""
    what = "pairs" if facts.pairs else "documents"
    about = f"about {facts.examples:,}" if facts.estimated else f"{facts.examples:,}"
    seen = f", estimated from {facts.read:,} of them" if facts.estimated else ""
    lines = [f"{about} {what}{seen}; {facts.duplicates:.1%} stand there more than once"]
    names = ("source", "target") if facts.pairs else ("text",)
    for name, side in zip(names, facts.sides, strict=True):
        scripts = [
            f"{share:.0%} {script}"
            for share, script in ((side.hangul, "Hangul"), (side.unspaced, "without blanks between words"))
            if share >= 0.01
        ]
        lines.append(
            f"{name}: {side.characters} characters in {side.words} words: median (95th percentile, longest); "
            f"{side.alphabet.kinds:,} different characters ({side.alphabet.once:,} seen once), "
            f"{side.vocabulary.kinds:,} different words ({side.vocabulary.once:,} seen once)"
            + "".join(f"; {script}" for script in scripts)
        )
    if facts.pairs:
        lines.append(
            f"{facts.copies:.1%} of targets equal their source; {facts.ambiguous:.1%} of sources have "
            f"several targets; {facts.shared:.0%} of targets' characters are of kinds that sources have"
        )
    if facts.held_out:
        lines.append(f"validation: {facts.held_out:,} {what}")
    return lines


def expected_lines(plan: Plan) -> list[str]:
    """What to expect of the run."""
    expected = plan.expected
    return [
        f"a model of {expected.parameters:,} parameters, {expected.memory / 2**30:.1f} GiB of memory, "
        f"about {expected.tokens_a_second:,.0f} predicted tokens/s on {plan.machine}",
        f"about {duration(expected.seconds)} of training: {expected.steps:,} steps, "
        f"{expected.epochs:.3g} passes over the text" + _or_sooner(plan),
        *_memory_warning(plan),
    ]


def _memory_warning(plan: Plan) -> list[str]:
    memory = plan.machine.memory
    if memory is None or plan.expected.memory < memory:
        return []
    return ["warning: that is more memory than there is; lower batch.tokens, or choose a smaller --size"]


def _or_sooner(plan: Plan) -> str:
    patience = plan.recipe.stop.patience
    return f"; it ends sooner after {patience} looks without a better result" if patience else ""


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    hours = seconds / 3600
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"


def lines_of(plan: Plan) -> Iterator[str]:
    """The whole plan, for the terminal."""
    yield f"the plan, for {plan.kind}:"
    for line in facts_lines(plan.facts):
        yield f"  {line}"
    for choice in plan.choices:
        yield f"  {choice.key} = {_value(choice.value)}  ({choice.reason})"
    for line in expected_lines(plan):
        yield f"  {line}"


def as_toml(plan: Plan) -> str:
    """The recipe of the plan, with the reasons as comments: to be edited and trained by."""
    reasons = {choice.key: choice for choice in plan.choices}
    head = [f"A plan for {plan.kind}.", *facts_lines(plan.facts), "Expected:", *expected_lines(plan)]
    comments = [part for line in head for part in textwrap.wrap(line, WIDTH)]
    return "\n".join([*(f"# {line}" for line in comments), "", *_table(plan.table, "", reasons)]) + "\n"


def _table(table: dict[str, Any], name: str, reasons: dict[str, Choice]) -> Iterator[str]:
    """The lines of a table and the tables inside it."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    if name and plain:
        yield f"[{name}]"
    for key, value in plain.items():
        yield from _entry(key, value, reasons.get(f"{name}.{key}" if name else key))
    if plain:
        yield ""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _table(value, f"{name}.{key}" if name else key, reasons)


def _entry(key: str, value: Any, choice: Choice | None) -> Iterator[str]:
    text = f"{key} = {_value(value)}"
    if choice is None:
        yield text
    elif len(text) + len(choice.reason) + 4 <= WIDTH:
        yield f"{text}  # {choice.reason}"
    else:
        yield from (f"# {line}" for line in textwrap.wrap(choice.reason, WIDTH))
        yield text


def _value(value: Any) -> str:
    """A value as TOML writes it, on one line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip("\n")


def write_plan(plan: Plan, path: Path) -> None:
    """Write the recipe of a plan, with the reasons."""
    write_whole(path, as_toml(plan))
