"""The reference pages, made from the code: `python -m docs_build.reference` writes them."""

from pathlib import Path

import headway
from docs_build.python_names import described
from docs_build.recipe_keys import Group, groups
from docs_build.tables import table
from docs_build.verbs import sections

FOLDER = Path(__file__).parents[1] / "docs" / "reference"

ORDER = ("", "data", "text", "model", "batch", "masking", "optimizer", "schedule", "stop", "training")
"""The tables of a recipe as they are read best; those that are not named here follow."""

RESULTS = {
    "headway.run": ("Outcome",),
    "headway.decoding.hypothesis": ("Hypothesis",),
    "headway.decoding.fill_mask": ("Filled", "Candidate"),
    "headway.decoding.score": ("Score",),
    "headway.inspection.record": ("Recording", "AttentionRecord"),
    "headway.interop.proof": ("Proof",),
    "headway.verification.law": ("Verification", "Law"),
    "headway.errors": ("DataError", "RecipeError", "FolderError"),
}
"""What the public names give and raise."""


def pages() -> dict[str, str]:
    """The pages by their file names."""
    return {"recipe.md": recipe_page(), "command-line.md": command_page(), "python.md": python_page()}


def page(parts: list[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def recipe_page() -> str:
    """Every table of a recipe with its keys."""
    parts = [
        "# Recipe: every key",
        "What a recipe, a TOML file, may say, and `KEY=VALUE` on the command line may change. How\n"
        "recipes are written, and which there are: [recipes](../how-to/recipes.md).",
        "Where the word **unset** stands, the key is absent by default; leave it out to keep it so. An\n"
        "unknown key, a value of another type or out of its range, and a setting that the rest makes\n"
        "idle are errors.",
    ]
    for group in sorted(groups(), key=place):
        level = "###" if group.name.startswith("model.") else "##"
        parts += [f"{level} `[{group.name}]`" if group.name else f"{level} Top level", group.about]
        rows = [(f"`{key.name}`", key.value, key.default, key.meaning) for key in group.keys]
        parts.append(table(("key", "value", "default", "meaning"), rows))
    return page(parts)


def place(group: Group) -> int:
    """Where a table is shown; groups inside one stay behind it."""
    first = group.name.split(".")[0]
    return ORDER.index(first) if first in ORDER else len(ORDER)


def command_page() -> str:
    """Every verb with its arguments and options."""
    parts = [
        "# Command line",
        "`headway VERB --help` says the same in the terminal. Results go to standard output, all else to\n"
        "standard error.",
        table(
            ("exit status", "means"),
            [
                ("0", "done"),
                ("1", "done, and what was looked at is not as it should be: `check`, `verify`"),
                ("2", "a mistake that can be put right, told in one message"),
                ("130, 143", "stopped by Ctrl-C or SIGTERM; a run has saved, and says how to go on"),
            ],
        ),
    ]
    return page([*parts, *sections()])


def python_page() -> str:
    """The public names with signatures and docstrings, then what they give and raise."""
    parts = [
        "# Python",
        "What `import headway` offers, and what it gives. Everything else is described by docstrings and by\n"
        "[the architecture](../architecture.md), and may change.",
    ]
    for name in sorted(headway.__all__):
        module = getattr(headway, name).__module__
        parts.append(described(module, name, f"headway.{name}", "##"))
    parts.append("## What they give and raise")
    for module, names in RESULTS.items():
        parts += [described(module, name, f"{module}.{name}", "###") for name in names]
    return page(parts)


def main() -> None:
    """Write the pages; those that are up to date are left alone."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        path = FOLDER / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"written: {path}")


if __name__ == "__main__":
    main()
