"""The command line: one verb a file in `commands`, each importing what it needs only when it runs."""

from typing import Any

import typer
from typer.core import TyperGroup

from headway.commands import (
    attend,
    check,
    demo,
    evaluate,
    export,
    import_model,
    inspect,
    plan,
    predict,
    serve,
    train,
    verify,
)


class Verbs(TyperGroup):
    """The verbs; one whose reader has seen enough, as in `| head -1`, has done its work."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise typer.Exit(0) from error


app = typer.Typer(
    cls=Verbs,
    name="headway",
    help="Text in, a working Transformer out: train, use and look into your own model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("plan")(plan.plan)
app.command("check")(check.check)
app.command("train")(train.train)
app.command("predict")(predict.predict)
app.command("evaluate")(evaluate.evaluate)
app.command("inspect")(inspect.inspect)
app.command("attend")(attend.attend)
app.command("verify")(verify.verify)
app.command("export")(export.export)
app.command("import")(import_model.import_model)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
