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
from headway.training.settings import OptimizerConfig
from headway.training.state import TrainState

SEEDS, STEPS, QUICK_STEPS = 3, 1000, 20
SPANS = 10
"""Of which the mean loss is compared."""
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
            found = step.train_step(state, [batch], rate, smoothing=0.1, clip=1.0, precision=chosen)
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
    size = found["steps"] // SPANS
    lines = ["| steps | fast | plain | between the means |", "| --- | ---: | ---: | ---: |"]
    for span, several in enumerate(
        zip(*(zip(*found["curves"][way], strict=True) for way in WAYS), strict=True)
    ):
        cells = [f"{statistics.fmean(each):.3f} ({min(each):.3f}–{max(each):.3f})" for each in several]
        between = statistics.fmean(several[0]) - statistics.fmean(several[1])
        lines.append(f"| {span * size + 1:,}–{(span + 1) * size:,} | {' | '.join(cells)} | {between:+.3f} |")
    shape = ", ".join(f"{key} {value}" for key, value in SHAPE.items())
    return [
        *lines,
        "",
        f"Training loss in nats a token, smoothed by 0.1: mean over {found['seeds']} seeds, with the lowest "
        f"and the highest; the same batches of {TOKENS:,} tokens. {shape}. {where(found['machine'])}",
    ]


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
