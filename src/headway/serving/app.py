"""The app: every interface over the same models."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from headway.serving import errors
from headway.serving.dashboard import dashboard_router
from headway.serving.description import description_router
from headway.serving.errors import common
from headway.serving.filling import fill_router
from headway.serving.guard import Guard
from headway.serving.heads import Heads
from headway.serving.libretranslate import libretranslate_router
from headway.serving.metrics import Counted, Metrics
from headway.serving.models import Models
from headway.serving.openai import openai_router
from headway.serving.page import page_router
from headway.serving.settings import ServingConfig
from headway.serving.texts import texts_router
from headway.serving.views import views_router

PAGE = Path(__file__).parent / "static"

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def nothing(app: FastAPI) -> AsyncIterator[None]:
    """A life without beginning and end."""
    yield


def build_app(models: Models, settings: ServingConfig, lifespan: Lifespan = nothing) -> FastAPI:
    """The app for these models; `app.state` holds them and the settings."""
    app = FastAPI(
        title="Headway",
        version=version("headway"),
        description="Trained models behind the interfaces that programs already speak.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        separate_input_output_schemas=False,
    )
    app.state.models, app.state.settings = models, settings
    errors.install(app)
    metrics = Metrics(models)
    app.include_router(page_router())
    app.include_router(openai_router())
    app.include_router(libretranslate_router())
    app.include_router(fill_router())
    app.include_router(texts_router())
    app.include_router(views_router(), responses=common())
    app.include_router(dashboard_router(), responses=common())
    app.include_router(metrics.router())
    app.include_router(description_router())

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    app.mount("/static", StaticFiles(directory=PAGE), name="static")
    # The last one added is the outermost: what the guard refuses is counted too.
    app.add_middleware(Guard, settings=settings)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware, allow_origins=[settings.cors], allow_methods=["*"], allow_headers=["*"]
        )
    app.add_middleware(Counted, metrics=metrics)
    app.add_middleware(Heads)
    return app
