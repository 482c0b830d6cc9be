"""Models that people ask for and no shape of ours can hold, with the reason."""

REASONS: dict[str, str] = {
    "albert": "all its layers share one set of weights, and its embeddings are narrower than the model",
    "deberta": "its attention compares contents and positions with weights of their own",
    "deberta-v2": "its attention compares contents and positions with weights of their own",
    "mixtral": "a token goes through some of several feed-forward networks",
    "xlnet": "it reads text in permuted orders, with two streams of states",
}
"""By the model_type of config.json; each reason tells what such a model does, as "it …" or "its …"."""
