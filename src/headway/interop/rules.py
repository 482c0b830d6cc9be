"""Rules that many targets have in common; each reason tells what the target does, as "it …" or "its …"."""

from headway.interop.family import ACTIVATION_NAMES, Rule

POST_NORM = Rule(
    lambda config: config.norm.position == "post",
    "it normalizes after each sub-layer",
    "model.norm.position=post",
)
PRE_NORM = Rule(
    lambda config: config.norm.position == "pre",
    "it normalizes before each sub-layer",
    "model.norm.position=pre",
)
LAYER_NORM = Rule(
    lambda config: config.norm.kind == "layer", "it has layer normalization", "model.norm.kind=layer"
)
RMS_NORM = Rule(lambda config: config.norm.kind == "rms", "it has RMS normalization", "model.norm.kind=rms")
EPSILON_FIXED = Rule(
    lambda config: config.norm.epsilon == 1e-5, "its norms have an epsilon of 1e-5", "model.norm.epsilon=1e-5"
)
EMBEDDING_NORM = Rule(
    lambda config: config.norm.embedding, "it normalizes its embeddings", "model.norm.embedding=true"
)
NO_EMBEDDING_NORM = Rule(
    lambda config: not config.norm.embedding,
    "it does not normalize its embeddings",
    "model.norm.embedding=false",
)
FIRST_NORM = Rule(
    lambda config: config.norm.first or config.norm.position == "post",
    "it normalizes before its first self-attention too",
    "model.norm.first=true",
)

SINUSOIDAL = Rule(
    lambda config: config.positions.kind == "sinusoidal",
    "its positions are sinusoidal",
    "model.positions.kind=sinusoidal",
)
WAVE_BASE = Rule(
    lambda config: config.positions.base == 10000,
    "its waves have the base 10000",
    "model.positions.base=10000",
)
LEARNED = Rule(
    lambda config: config.positions.kind == "learned",
    "its positions are learned",
    "model.positions.kind=learned",
)
ROTARY = Rule(
    lambda config: config.positions.kind == "rotary",
    "its positions are rotary",
    "model.positions.kind=rotary",
)
RELATIVE = Rule(
    lambda config: config.positions.kind == "relative",
    "its positions are biases by distance",
    "model.positions.kind=relative",
)

PLAIN_ACTIVATION = Rule(
    lambda config: config.activation in ACTIVATION_NAMES,
    "its feed-forward networks have no gates",
    "model.activation=relu",
)
BIAS = Rule(lambda config: config.bias, "its linear layers have biases", "model.bias=true")
NO_BIAS = Rule(lambda config: not config.bias, "its linear layers have no biases", "model.bias=false")

ALL_KEY_HEADS = Rule(
    lambda config: config.num_kv_heads == config.attention.num_heads,
    "it has as many heads of keys and values as of queries",
    "model.attention.num_kv_heads=none",
)
EQUAL_SIZES = Rule(
    lambda config: config.d_key == config.d_value,
    "its keys and values are of one size",
    "model.attention.d_key=none model.attention.d_value=none",
)
HEADS_FILL_MODEL = Rule(
    lambda config: config.d_key == config.d_value == config.d_model / config.attention.num_heads,
    "its heads have d_model / num_heads numbers each",
    "model.attention.d_key=none model.attention.d_value=none",
)
NO_QUERY_NORM = Rule(
    lambda config: not config.attention.normalize,
    "it does not normalize queries and keys",
    "model.attention.normalize=false",
)
QUERY_NORM = Rule(
    lambda config: config.attention.normalize,
    "it normalizes queries and keys",
    "model.attention.normalize=true",
)
NO_WINDOW = Rule(
    lambda config: config.attention.window is None,
    "all its layers are global",
    "model.attention.window=none model.attention.global_every=none",
)

NO_TRANSFORM = Rule(
    lambda config: not config.output_transform,
    "its output projection follows the last layer at once",
    "model.output_transform=false",
)
NO_OUTPUT_BIAS = Rule(
    lambda config: not config.output_bias, "its output projection has no bias", "model.output_bias=false"
)
ONE_VOCABULARY = Rule(
    lambda config: config.source_vocab_size is None,
    "it has one vocabulary for source and target",
    "train without text.source, so that one joint vocabulary is learned",
)

PLAIN_LAYERS: tuple[Rule, ...] = (
    LAYER_NORM,
    FIRST_NORM,
    PLAIN_ACTIVATION,
    ALL_KEY_HEADS,
    HEADS_FILL_MODEL,
    NO_QUERY_NORM,
    NO_WINDOW,
)
"""Of those whose layers are the paper's, but for where the norms stand."""

AS_READ = Rule(
    lambda config: True,
    "it writes letters as its vocabulary has them, and composes none",
    "text.target.normalize=nfc",
)
