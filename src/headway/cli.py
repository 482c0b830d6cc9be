"""The command line: one verb a file in `commands`, each importing what it needs only when it runs."""

import typer

from headway.commands import demo, evaluate, inspect, predict, train

app = typer.Typer(
    name="headway",
    help="Text in, a working Transformer out: train, use and look into your own model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train.train)
app.command("predict")(predict.predict)
app.command("evaluate")(evaluate.evaluate)
app.command("inspect")(inspect.inspect)
app.command("demo")(demo.demo)
