"""The card of a model folder: what people should know before they use the model."""

from collections.abc import Sequence

from headway.bundle import Bundle


def model_card(bundle: Bundle, *, title: str, data: Sequence[str], recipe: str) -> str:
    """Markdown: what the model is, its data (a line each), metrics, limits, and the recipe (TOML)."""
    parameters = sum(p.numel() for p in bundle.model.parameters())
    source, target = bundle.tokenizers
    vocabularies = f"{target.vocab_size:,} tokens ({target.kind})"
    if source is not None and source is not target:
        vocabularies = f"source {source.vocab_size:,} tokens ({source.kind}), target {vocabularies}"
    lengths = [f"texts of up to {bundle.meta.longest_target:,} tokens"] if bundle.meta.longest_target else []
    if bundle.meta.longest_source:
        lengths.insert(0, f"sources of up to {bundle.meta.longest_source:,} tokens")
    trained = f"It was trained on {' and '.join(lengths)}; longer ones are split." if lengths else ""
    metrics = "\n".join(f"| {name} | {value:.4g} |" for name, value in bundle.meta.metrics.items())
    return f"""# {title}

A Transformer ({bundle.architecture}) of {parameters:,} parameters, trained from scratch with Headway.
Vocabulary: {vocabularies}.

## Data

{chr(10).join(f"- {line}" for line in data) or "- not stated"}

## Metrics

{f"| metric | value |{chr(10)}| --- | --- |{chr(10)}{metrics}" if metrics else "None were measured."}

## Limits

It knows only the text above, and repeats its errors and one-sidedness. The metrics hold for text of the same
kind only. {trained}

## Recipe

```toml
{recipe.strip()}
```
"""
