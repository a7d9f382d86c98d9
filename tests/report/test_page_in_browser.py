"""The pages in Chromium, as wide as a phone and as a desktop, light and dark."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edeline_jax.report.__main__ import main
from tests.in_process import call
from tests.report.folders import write_grid, write_whole_run

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser-tests`")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"no browser: none of {', '.join(NAMES)} is in PATH")

# Of each chart that is shown: its name, the texts of its axes, and how far any text is outside of the page.
CHARTS = """() => [...document.querySelectorAll('.chart svg')].filter(svg => svg.clientWidth).map(svg => ({
  name: svg.getAttribute('aria-label'),
  labels: [...svg.querySelectorAll('.x-label, .y-label')].map(label => label.textContent.trim()),
  outside: Math.max(...[...svg.querySelectorAll('text')].map(text => {
    const box = text.getBoundingClientRect();
    return Math.max(-box.left, box.right - innerWidth);
  })),
}))"""
# The contrast of text and background, as WCAG 2 computes it.
CONTRAST = """selector => {
  const light = colour => colour.match(/[0-9.]+/g).slice(0, 3).map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const text = light(getComputedStyle(document.querySelector(selector)).color);
  const page = light(getComputedStyle(document.body).backgroundColor);
  return (Math.max(text, page) + 0.05) / (Math.min(text, page) + 0.05);
}"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished tiny run, one that goes on, and 26 games of five runs."""
    folder = tmp_path_factory.mktemp("pages")
    sources = {
        "finished": write_whole_run(folder / "finished", finished=True, changes={"env.size": 32}),
        "running": write_whole_run(folder / "running"),
        "grid": write_grid(folder / "grid"),
    }
    for name, source in sources.items():
        call(main, source, f"--html={folder / name}.html")
    return {name: folder / f"{name}.html" for name in sources}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("name", ["finished", "running", "grid"])
def test_a_page_is_whole(
    browser: "sync_api.Browser", pages: dict[str, Path], name: str, width: int, scheme: str, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages[name].as_uri())
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [pages[name].as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    charts = page.evaluate(CHARTS)
    assert len(charts) == (3 if name == "grid" else 23)
    for chart in charts:
        assert len(chart["labels"]) >= 2 and all(chart["labels"]) and chart["outside"] <= 0, chart
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    for selector in ("h1", ".quiet", "dd.own"):
        assert page.evaluate(CONTRAST, selector) >= 4.5, selector
    page.close()
