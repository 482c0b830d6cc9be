"""What a recipe says about training. Defaults follow the paper (§5.2–5.4) where it states them."""

from dataclasses import dataclass
from typing import Literal

from headway.errors import RecipeError, refuse_out_of_range


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """What makes a gradient an update (Paper §5.3)."""

    kind: Literal["adam", "adamw", "muon"] = "adam"
    """`adam`. `adamw`: with decoupled weight decay. `muon`: orthogonalized momentum for the matrices of
    the layers, AdamW for the rest."""
    rate: float | None = None
    """Peak learning rate; None = the paper's, (d_model · warmup)^-0.5."""
    beta1: float = 0.9
    """Decay of the mean of gradients."""
    beta2: float = 0.98
    """Decay of the mean of their squares."""
    epsilon: float = 1e-9
    """Added to the denominator."""
    weight_decay: float = 0.0
    """For `adamw` and `muon`; matrices only, never biases, norms and embeddings."""
    clip: float = 1.0
    """Largest global norm of the gradient; 0 = no clipping."""

    def __post_init__(self) -> None:
        rules = (
            ("rate", self.rate is None or self.rate > 0, "above 0"),
            ("beta1", 0 <= self.beta1 < 1, "at least 0 and below 1"),
            ("beta2", 0 <= self.beta2 < 1, "at least 0 and below 1"),
            ("epsilon", self.epsilon > 0, "above 0"),
            ("weight_decay", self.weight_decay >= 0, "at least 0"),
            ("weight_decay", self.kind != "adam" or not self.weight_decay, "0 for kind = 'adam'"),
            ("clip", self.clip >= 0, "at least 0"),
        )
        refuse_out_of_range("optimizer", self, rules)


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """The learning rate over the run: up in a straight line during warm-up, then down, fitted to the stop."""

    kind: Literal["inverse-sqrt", "cosine", "linear", "constant"] = "inverse-sqrt"
    """`inverse-sqrt`: the paper's (§5.3). `cosine`, `linear`: down to `final` at the stop, which must
    then be named by `steps`, `epochs`, `tokens` or `minutes`. `constant`."""
    warmup: int = 4000
    """Steps of warm-up (Paper §5.3)."""
    final: float = 0.0
    """Share of the peak rate at the stop, for `cosine` and `linear`."""

    def __post_init__(self) -> None:
        rules = (
            ("warmup", self.warmup >= 0, "at least 0"),
            ("final", 0 <= self.final <= 1, "from 0 to 1"),
            ("final", self.comes_down or not self.final, "0 unless kind = 'cosine' or 'linear'"),
        )
        refuse_out_of_range("schedule", self, rules)

    @property
    def comes_down(self) -> bool:
        """Whether the rate comes down to `final` at the stop, which must then be known."""
        return self.kind in ("cosine", "linear")


@dataclass(frozen=True, kw_only=True)
class StopConfig:
    """When to stop: at whichever of these comes first; 0 = no such limit, and at least one must be above
    0."""

    steps: int = 0
    """Steps of the optimizer."""
    epochs: float = 0.0
    """Passes over the training text; may be a fraction."""
    tokens: int = 0
    """Predicted tokens, counted as often as they are seen."""
    minutes: float = 0.0
    """Of training itself: validation and saving are not counted."""
    patience: int = 0
    """Validations in a row without a better result."""

    def __post_init__(self) -> None:
        limits = (self.steps, self.epochs, self.tokens, self.minutes, self.patience)
        if min(limits) < 0 or not any(limits):
            raise RecipeError("stop: give steps, epochs, tokens, minutes or patience a number above 0")

    @property
    def is_fixed(self) -> bool:
        """Whether the end is known in advance, so that a schedule can be fitted to it."""
        return bool(self.steps or self.epochs or self.tokens or self.minutes)


@dataclass(frozen=True)
class LossConfig:
    """What is asked for beside likely labels."""

    smoothing: float = 0.0
    """Share of probability spread evenly over the vocabulary (Paper §5.4)."""
    r_drop: float = 0.0
    """Weight of what two predictions under other dropout differ by (Liang et al. 2021, eq. 2 and 3)."""

    @property
    def readings(self) -> int:
        """How often each row is read."""
        return 2 if self.r_drop else 1


PLAIN = LossConfig()


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Loss, validation, and what is kept."""

    label_smoothing: float = 0.1
    """Share of probability spread evenly over the vocabulary (Paper §5.4)."""
    r_drop: float = 0.0
    """Weight of R-Drop (Liang et al. 2021): each example is read twice under other dropout, which takes up
    to twice the time, and what both predictions differ by is added to the loss; 0 = none."""
    ema: float = 0.0
    """Decay of an exponential moving average of the weights, with which the model is judged and saved; 0
    = none."""
    validate_every: int = 500
    """Steps between validations."""
    save_every: int = 500
    """Steps between checkpoints; one is also saved after each better validation and at the end."""
    report_every: int = 10
    """Steps between lines of `metrics.jsonl`."""
    keep_last: int = 2
    """Checkpoints at multiples of `save_every` that are kept, besides the newest and the best."""
    metric: Literal["loss", "accuracy"] = "loss"
    """What validations are judged by: `loss` in nats per label, or `accuracy`, the share of labels
    predicted right."""
    final: Literal["best", "last", "average"] = "best"
    """Which weights become the model: of the `best` validation, of the `last` step, or the `average` of
    the last checkpoints (Paper §6.1)."""
    average: int = 5
    """How many checkpoints are averaged, for `final = "average"`: that of the last step, and the last at
    multiples of `save_every`; `keep_last` must be at least as large."""
    spike_sigma: float = 0.0
    """Leave out the update of a step whose loss is so many standard deviations above the mean of the last
    hundred; 0 = never."""
    most_skipped: int = 20
    """The run stops when so many steps in a row were left out: not finite, or a spike."""
    samples: int = 8
    """Held-out examples predicted and shown at each validation."""
    checks: bool = True
    """Before the first step look whether text, held-out text and model are as they should be; what makes
    training meaningless ends the run."""
    freeze: tuple[str, ...] = ()
    """Parts of the model that stay as they are, by the names of their modules, as in `["encoder",
    "embedding"]`."""
    tensorboard: bool = False
    """Also write curves for TensorBoard (extra `tensorboard`)."""

    def __post_init__(self) -> None:
        counts = ("validate_every", "save_every", "report_every", "keep_last", "average", "most_skipped")
        rules = [
            *((name, getattr(self, name) >= 1, "at least 1") for name in counts),
            *(
                (name, 0 <= getattr(self, name) < 1, "at least 0 and below 1")
                for name in ("label_smoothing", "ema")
            ),
            ("r_drop", self.r_drop >= 0, "at least 0"),
            ("samples", self.samples >= 0, "at least 0"),
            ("spike_sigma", self.spike_sigma >= 0, "at least 0"),
        ]
        refuse_out_of_range("training", self, rules)
        if self.final == "average" and self.average > self.keep_last:
            raise RecipeError(
                f"training.average = {self.average} needs training.keep_last of at least as many checkpoints"
            )

    @property
    def loss(self) -> LossConfig:
        return LossConfig(self.label_smoothing, self.r_drop)
