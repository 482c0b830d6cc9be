"""The page as a person uses it, in a real browser."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser

from headway.api import load
from headway.run_folder import RunFolder
from headway.serving.export import export_page

from .browser import Seen, chromium, needs_chromium, seen, serving

pytestmark = needs_chromium

HOSTILE = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>\"'`${x}&amp;\u2028</b>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def running(tiny_runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in the middle of its training, as its folder shows it but for the lock."""
    folder: Path = tmp_path_factory.mktemp("runs") / "half"
    shutil.copytree(tiny_runs["pairs"], folder)
    shutil.rmtree(folder / "model")
    return folder


@pytest.fixture(scope="module")
def address(tiny_runs: dict[str, Path], running: Path) -> Iterator[str]:
    with serving({**tiny_runs, "half": running}, models=3) as address:
        yield address


def safe(view: Seen) -> bool:
    """Whether nothing that a text holds has become part of the page."""
    hacked: bool = view.page.evaluate(
        "window.hacked === 1 || document.querySelector('main img, main script') !== null"
    )
    return not hacked


def test_a_saved_file_opens_from_disk(browser: Browser, tiny_runs: dict[str, Path], tmp_path: Path) -> None:
    pipeline = load(tiny_runs["pairs"], device="cpu")
    file = tmp_path / "attention.html"
    file.write_text(export_page(pipeline, "pairs & <more>", "bal", HOSTILE), "utf-8")
    with seen(browser, offline=True) as view:
        view.page.goto(file.as_uri())
        view.stands()
        assert view.page.locator("main").get_attribute("data-view") == "attention"
        assert view.page.locator("#text").input_value() == HOSTILE
        assert view.page.locator("#summaries tbody tr").count() == 2
        for name in ("tree", "guesses", "positions", "masks", "attention"):
            view.page.locator(f'nav#views a[href^="#{name}"]').click()
            view.page.wait_for_selector(f'main[data-view="{name}"][aria-busy="false"]')
            assert not view.page.locator("#error").is_visible(), view.text("#error")
        assert safe(view)
        assert view.asked == [file.as_uri()], "something was loaded"


@pytest.mark.slow
def test_translate_and_choose_another_token(
    browser: Browser, address: str, tiny_runs: dict[str, Path]
) -> None:
    best = load(tiny_runs["pairs"], device="cpu").predict("dim")
    with seen(browser) as view:
        view.open(address, "use", {"model": "pairs"})
        view.page.locator("#input").fill("dim")
        view.page.wait_for_selector("#output button.token")
        view.stands()
        assert view.text("#output").split() == best.split()
        view.page.locator("#output button.token").first.click()
        others = view.page.locator("#alternatives button.bar")
        chosen = others.nth(2).inner_text().split()[0].strip("·▁")
        others.nth(2).click()
        view.page.wait_for_function(
            "word => document.querySelector('#output').innerText.trim().startsWith(word)", arg=chosen
        )
        view.stands()
        assert view.text("#output").split()[0] == chosen


@pytest.mark.slow
def test_what_is_written_is_computed_once_and_kept(browser: Browser, address: str, tmp_path: Path) -> None:
    with seen(browser, accept_downloads=True) as view:
        view.open(address, "use", {"model": "causal", "text": "bal"})
        view.page.locator("#continue").click()
        view.page.wait_for_selector("#continue:not([hidden])")
        view.stands()
        written = view.text("#output")
        assert view.page.locator("#output button.token:not([disabled])").count() > 3
        assert [url for url in view.asked if url.endswith(("/api/stream", "/api/predict"))] == [
            f"{address}api/stream"
        ]
        view.page.reload()
        view.page.wait_for_function(
            "text => document.querySelector('#output').innerText === text", arg=written
        )
        view.page.wait_for_selector("#continue:not([hidden])")
        with view.page.expect_download() as waiting:
            view.page.locator("#share").click()
        file = tmp_path / "written.html"
        waiting.value.save_as(file)
    with seen(browser, offline=True) as view:
        view.page.goto(file.as_uri())
        view.page.wait_for_function(
            "text => document.querySelector('#output').innerText === text", arg=written
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("view_name", "settings", "least"),
    [
        ("guesses", {"model": "pairs", "source": "dim", "text": "m i d"}, (400, 80)),
        ("positions", {"model": "pairs"}, (600, 300)),
        ("training", {"run": "pairs"}, (800, 400)),
        ("tree", {"model": "pairs", "source": "dim"}, (300, 100)),
        ("masks", {"model": "causal", "text": "bal bel"}, (100, 100)),
        ("attention", {"model": "masked", "text": "bal bel"}, (300, 80)),
    ],
)
def test_a_view_is_saved_as_a_picture(
    browser: Browser, address: str, view_name: str, settings: dict[str, str], least: tuple[int, int]
) -> None:
    with seen(browser, accept_downloads=True) as view:
        view.open(address, view_name, settings)
        with view.page.expect_download() as waiting:
            view.page.locator("#png").click()
        picture = Image.open(waiting.value.path()).convert("L")
    assert picture.width >= least[0] and picture.height >= least[1], picture.size
    assert len(picture.getcolors(2**16) or []) > 4, "nothing is drawn"


@pytest.mark.slow
def test_mask_a_word(browser: Browser, address: str) -> None:
    with seen(browser) as view:
        view.open(address, "use", {"model": "masked", "text": "bal bel bil bol"})
        assert view.page.locator("#words button.word").count() == 4
        view.page.locator("#words button.word").nth(1).click()
        view.page.wait_for_selector("#blanks button.bar")
        view.stands()
        assert view.page.locator("#words button.word").nth(1).get_attribute("aria-pressed") == "true"
        assert view.page.locator("#blanks button.bar").count() >= 5
        assert view.text("#output").startswith("bal ")


@pytest.mark.slow
def test_look_at_heads_layers_and_stacks(browser: Browser, address: str) -> None:
    with seen(browser) as view:
        view.open(address, "attention", {"model": "pairs", "source": "dim", "text": "m i d"})
        before = picture(view)
        view.page.locator('#heads input[value="2"]').uncheck(force=True)
        view.page.wait_for_function("() => location.hash.includes('heads=1')")
        view.stands()
        assert picture(view) != before, "another head, and the same picture"
        for stack in ("Encoder", "Decoder", "Cross"):
            view.page.locator("#stack label", has_text=stack).click()
            view.stands()
            for style in ("Heat map", "All heads", "Lines"):
                view.page.locator("#style label", has_text=style).click()
                view.stands()
                assert view.page.locator("#picture canvas").count() >= 1
        view.page.locator("#picture").focus()
        view.page.keyboard.press("ArrowDown")
        view.page.wait_for_selector("#readout li[data-token]")
        assert not view.page.locator("#error").is_visible()


def picture(view: Seen) -> Any:
    return view.page.evaluate("document.querySelector('#picture canvas').toDataURL()")


@pytest.mark.slow
def test_five_hundred_tokens_do_not_stutter(browser: Browser, address: str) -> None:
    text = " ".join(["bal", "bel", "bil", "bol", "bul"] * 50)  # 500 tokens at least, and at most 1,000
    with seen(browser) as view:
        view.open(address, "attention", {"model": "causal", "text": text, "style": "map"})
        box = view.page.locator("#picture").bounding_box()
        assert box is not None
        view.page.evaluate("window.headwayFrames.length = 0")
        for step in range(60):
            view.page.mouse.move(box["x"] + 90 + 5 * step, box["y"] + 90 + 4 * step)
        for _ in range(20):
            view.page.mouse.wheel(0, 60)
        view.page.wait_for_function("() => window.headwayFrames.length >= 20")
        frames = sorted(view.page.evaluate("window.headwayFrames"))
        assert frames[len(frames) // 2] < 50, frames
        assert len(view.page.locator("#picture").all()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("model", ["pairs", "causal", "masked"])
def test_a_hostile_text_stays_text(browser: Browser, address: str, model: str) -> None:
    text = HOSTILE if model != "causal" else "<img src=x onerror=hacked=1>"  # its context is short
    settings = {"model": model, "text": text} | ({"source": text} if model == "pairs" else {})
    views = ["use", "attention", "guesses", "masks"] + ([] if model == "masked" else ["tree"])
    with seen(browser) as view:
        for name in views:
            view.open(address, name, settings)
            view.page.wait_for_timeout(100)
            assert safe(view), name
            assert not view.page.locator("#error").is_visible(), view.text("#error")
        assert all(url.startswith((address, "about:", "data:")) for url in view.asked)


@pytest.mark.slow
def test_a_view_is_saved_and_opens_without_the_server(browser: Browser, address: str, tmp_path: Path) -> None:
    with seen(browser, accept_downloads=True) as view:
        view.open(
            address, "attention", {"model": "pairs", "source": "dim", "text": "m i d", "stack": "encoder"}
        )
        rows, drawn = view.text("#summaries tbody"), picture(view)
        with view.page.expect_download() as waiting:
            view.page.locator("#share").click()
        file = tmp_path / "saved.html"
        waiting.value.save_as(file)
    with seen(browser, offline=True) as view:
        view.page.goto(file.as_uri())
        view.stands()
        assert view.text("#summaries tbody") == rows
        assert picture(view) == drawn
        view.page.locator("#stack label", has_text="Cross").click()
        view.stands()
        assert not view.page.locator("#error").is_visible(), "other stacks are kept too"
        assert view.asked == [file.as_uri()]


@pytest.mark.slow
def test_a_run_is_watched_while_it_trains(browser: Browser, address: str, running: Path) -> None:
    with seen(browser) as view:
        with RunFolder(running).locked():
            view.open(address, "training", {"run": "half"})
            assert not view.page.locator("#error").is_visible(), view.text("#error")
            assert view.text("#state") == "running"
            assert view.page.locator("#charts canvas").count() == 4
            assert view.page.locator("#samples dl").count() == 2
            metrics = running / "metrics.jsonl"
            lines = [json.loads(line) for line in metrics.read_text("utf-8").splitlines()]
            known = next(line for line in lines if "loss" in line)
            newest = [{**known, "step": 7777, "loss": float("nan")}, {**known, "step": 7778, "loss": 0.5}]
            with metrics.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(line) + "\n" for line in newest)
            view.page.wait_for_function("() => document.querySelector('main').innerText.includes('7,778')")
        view.page.wait_for_function("() => document.querySelector('#state').innerText === 'stopped'")
        view.page.locator("#run-choice").select_option("pairs")
        view.page.wait_for_function("() => document.querySelector('#state').innerText === 'finished'")
