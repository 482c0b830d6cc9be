"""Whether what makes training fast changes what is learned: python benchmarks/loss_curves.py [--data FOLDER]

An encoder-decoder is trained for 1,000 steps as `headway train` does it here (formulation of attention and
precision chosen for the machine, loss in chunks, four places of dropout a random number, optimizer in one
piece), and plainly (float32, `scaled_dot_product_attention`, all logits at once, PyTorch's dropout, an
optimizer that goes parameter by parameter): the same batches, several seeds each (`--rounds N`). FOLDER holds
`*.train.tsv`; without it verses of the extra `demo` are read. Figures go to
benchmarks/results/loss-curves.json and .md, and into docs/speed.md.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from machine import machine
from publish import parsed, parser_of, publish, where
from training_levers import with_a_number_for_each_place, with_all_logits
from works import Work, batches_of, read_work, workplace, write_work

from headway.batch import Batch
from headway.model.architectures import build
from headway.runtime import choose_device, choose_precision
from headway.training import step
from headway.training.kernel import choose_kernel, use_kernel
from headway.training.optimizer import build_optimizer
from headway.training.settings import LossConfig, OptimizerConfig
from headway.training.state import TrainState

SEEDS, STEPS, QUICK_STEPS = 6, 1000, 20
SPANS = 10
"""Of which the mean loss is compared."""
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""97.5th percentiles of Student's t with 1, 2, 3 … degrees of freedom."""
SHAPE: dict[str, Any] = {"d_model": 64, "d_ff": 256, "encoder_layers": 2, "decoder_layers": 2, "dropout": 0.1}
TOKENS = 512
OPTIMIZER = OptimizerConfig(kind="adam", rate=1e-3)


@contextmanager
def fast() -> Iterator[tuple[str, str, bool]]:
    """Formulation, precision, and whether the optimizer is in one piece."""
    yield "auto", "auto", True


@contextmanager
def plain() -> Iterator[tuple[str, str, bool]]:
    with with_all_logits(), with_a_number_for_each_place():
        yield "sdpa", "float32", False


WAYS: dict[str, Callable[[], Any]] = {"fast": fast, "plain": plain}


def small(work: Work) -> Work:
    """The work with a model of which 1,000 steps take a minute."""
    model, recipe = replace(work.recipe.model, **SHAPE), work.recipe
    return replace(work, recipe=replace(recipe, model=model, batch=replace(recipe.batch, tokens=TOKENS)))


def curve(work: Work, batches: Sequence[Batch], way: str, seed: int) -> list[float]:
    """The loss of each step, in nats a token."""
    device = choose_device("cpu")
    with WAYS[way]() as (formulation, precision, in_one_piece):
        chosen = choose_precision(precision, device)
        torch.manual_seed(seed)
        model = build(work.recipe.model)
        use_kernel(model, choose_kernel(formulation, device, chosen))
        optimizer = build_optimizer(model, OPTIMIZER, OPTIMIZER.rate)
        for group in optimizer.param_groups:
            group["fused"] = in_one_piece
        state, losses = TrainState(model, optimizer), []
        for number, batch in enumerate(batches):
            rate = OPTIMIZER.rate * min(1.0, (number + 1) / 100)
            found = step.train_step(state, [batch], rate, loss=LossConfig(0.1), clip=1.0, precision=chosen)
            losses.append(float(found.loss))
    return losses


def spans(losses: Sequence[float]) -> list[float]:
    """Means over equal parts of the run."""
    size = len(losses) // SPANS
    return [statistics.fmean(losses[i * size : (i + 1) * size]) for i in range(SPANS)]


def measure(work: Work, batches: Sequence[Batch], seeds: int) -> dict[str, Any]:
    curves = {way: [spans(curve(work, batches, way, seed)) for seed in range(1, seeds + 1)] for way in WAYS}
    return {"steps": len(batches), "seeds": seeds, "curves": curves, "machine": machine()}


def lines_of(found: dict[str, Any]) -> list[str]:
    size, seeds = found["steps"] // SPANS, found["seeds"]
    lines = ["| steps | fast | plain | fast - plain, seed by seed |", "| --- | ---: | ---: | ---: |"]
    within = 0
    for span in range(SPANS):
        fast, plain = ([curve[span] for curve in found["curves"][way]] for way in WAYS)
        mean, noise = difference(fast, plain)
        within += abs(mean) <= noise
        cells = [f"{statistics.fmean(each):.3f} ({min(each):.3f}–{max(each):.3f})" for each in (fast, plain)]
        cells.append(f"{mean:+.4f} ± {noise:.4f}")
        lines.append(f"| {span * size + 1:,}–{(span + 1) * size:,} | {' | '.join(cells)} |")
    shape = ", ".join(f"{key} {value}" for key, value in SHAPE.items())
    return [
        *lines,
        "",
        f"Training loss in nats a token, smoothed by 0.1: mean over {seeds} seeds, with the lowest and the "
        f"highest; the same batches of {TOKENS:,} tokens. A seed's two runs start from the same weights; ±: "
        f"95% of what their mean difference may be by chance (Student's t), which it is within in {within} "
        f"of {SPANS} spans. {shape}. {where(found['machine'])}",
    ]


def difference(fast: Sequence[float], plain: Sequence[float]) -> tuple[float, float]:
    """The mean over two seeds or more, and how far from 0 chance alone brings it in 5 cases of 100."""
    each = [a - b for a, b in zip(fast, plain, strict=True)]
    quantile = STUDENT[min(len(each) - 1, len(STUDENT)) - 1]
    return statistics.fmean(each), quantile * statistics.stdev(each) / len(each) ** 0.5


def main() -> None:
    options = parsed(parser_of(__doc__, SEEDS))
    with workplace(None) as folder:
        write_work("small", options.data, folder, quick=options.quick)
        work = small(read_work(folder))
        batches = batches_of(work, QUICK_STEPS if options.quick else STEPS)
        found = measure(work, batches, options.rounds)
    publish("loss-curves", "Loss, fast and plain", found, lines_of(found), options.out)
    print("\n".join(lines_of(found)))


if __name__ == "__main__":
    main()
