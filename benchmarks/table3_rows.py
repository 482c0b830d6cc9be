"""The rows of the paper's Table 3, and its figures (Paper §6.2)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A row of Table 3: its group, the preset that is scaled down, and the paper's figures."""

    group: str
    preset: str
    perplexity: float
    bleu: float
    smoothing: float = 0.1
    seed: int = 1

    @property
    def name(self) -> str:
        smoothed = "" if self.smoothing == 0.1 else f"-eps{self.smoothing}"
        return f"{self.preset.removeprefix('table3-')}{smoothed}"

    @property
    def run(self) -> str:
        """The name of its run, of which there is one a seed."""
        return f"{self.name}-seed{self.seed}"


BASE_SEEDS = 5
ROWS = (
    *(Row("base", "table3-base", 4.92, 25.8, seed=seed) for seed in (1, 2)),
    Row("A", "table3-a-h1", 5.29, 24.9),
    Row("A", "table3-a-h4", 5.00, 25.5),
    Row("A", "table3-a-h16", 4.91, 25.8),
    Row("A", "table3-a-h32", 5.01, 25.4),
    Row("B", "table3-b-dk16", 5.16, 25.1),
    Row("B", "table3-b-dk32", 5.01, 25.4),
    Row("C", "table3-c-n2", 6.11, 23.7),
    Row("C", "table3-c-n4", 5.19, 25.3),
    Row("C", "table3-c-n8", 4.88, 25.5),
    Row("C", "table3-c-d256", 5.75, 24.5),
    Row("C", "table3-c-d1024", 4.66, 26.0),
    Row("C", "table3-c-ff1024", 5.12, 25.4),
    Row("C", "table3-c-ff4096", 4.75, 26.2),
    Row("D", "table3-d-drop0.0", 5.77, 24.6),
    Row("D", "table3-d-drop0.2", 4.95, 25.5),
    Row("D", "table3-base", 4.67, 25.3, smoothing=0.0),
    Row("D", "table3-base", 5.47, 25.7, smoothing=0.2),
    Row("E", "table3-e-learned", 4.92, 25.7),
    Row("big", "table3-big", 4.33, 26.4),
    *(Row("base", "table3-base", 4.92, 25.8, seed=seed) for seed in range(3, BASE_SEEDS + 1)),
)
"""Paper §6.2, Table 3: perplexity and BLEU on its development set."""


SHAPE = {
    "N": lambda c: c.encoder_layers,
    "d_model": lambda c: c.d_model,
    "d_ff": lambda c: c.d_ff,
    "h": lambda c: c.attention.num_heads,
    "d_k": lambda c: c.d_key,
    "d_v": lambda c: c.d_value,
    "P_drop": lambda c: c.dropout,
    "positions": lambda c: c.positions.kind,
}
"""The columns of Table 3 that say what a model is."""
