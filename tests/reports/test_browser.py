"""Pages in a real browser: axe-core finds nothing, nothing scrolls sideways, and the keyboard reaches everything."""

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adjudge.records.history import history
from adjudge.records.summary import summarise
from adjudge.reports.conformance import Run, conformance_page
from adjudge.reports.dashboard import dashboard

from ..records.test_history import full_history
from .test_pages import BETTER, FULL

CHROMIUM, DRIVER = shutil.which("chromium") or "", shutil.which("chromedriver") or ""
if not CHROMIUM or not DRIVER:
    pytest.skip("needs chromium and chromedriver, which are not here", allow_module_level=True)
selenium = pytest.importorskip("selenium", reason="needs selenium, which is not installed")
axe_core = pytest.importorskip("axe_core_python", reason="needs axe-core-python, which is not installed")

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--force-color-profile=srgb",
)  # fmt: skip
AXE = (Path(axe_core.__file__).parent / "axe.min.js").read_text("utf-8")
THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # selenium's own sockets
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:
            yield driver
        finally:
            driver.quit()


@pytest.fixture(scope="module", params=["one run", "two runs", "dashboard"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    if request.param == "dashboard":
        with history(full_history(folder)) as past:
            (folder / "dashboard.html").write_text(dashboard(past), "utf-8")
        return folder / "dashboard.html"
    (folder / "cases").mkdir()
    (folder / "cases" / "0123456789ab.py").write_text("import numpy as np\n" + "x = " + "1 + " * 60 + "1\n")
    runs = [Run(summarise(FULL), before=summarise(BETTER), folder=folder), Run(summarise(BETTER))]
    (folder / "index.html").write_text(conformance_page(runs[: 1 if request.param == "one run" else 2]), "utf-8")
    return folder / "index.html"


def show(browser: Any, page: Path, theme: str = "light", width: int = 1100) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})
    browser.get(page.as_uri())


def violations(browser: Any) -> list[str]:
    """What axe-core says of the page at hand, all of it opened."""
    browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
    browser.execute_script(AXE)
    found = browser.execute_async_script(
        "const done = arguments[0]; axe.run(document).then(done, e => done({error: String(e)}))"
    )
    assert "error" not in found, found
    return [f"{v['id']}: {n['html']}" for v in found["violations"] for n in v["nodes"]]


@pytest.mark.parametrize("width", [1100, 320])
@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing(browser: Any, page: Path, theme: str, width: int) -> None:
    show(browser, page, theme, width)
    assert violations(browser) == []
    shade = browser.execute_script("return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
    assert (int(shade) < 128) == (theme == "dark")


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ('<img src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==">', "image-alt"),
        ('<p style="color: #999; background: #aaa">faint</p>', "color-contrast"),
        (
            '<div class="scroll" style="width: 50px"><table><tr><td>wiiiiiiiiiiiiiiiide</td></tr></table></div>',
            "scrollable-region",
        ),
    ],
)
def test_axe_sees_what_is_planted(browser: Any, page: Path, tmp_path: Path, planted: str, found: str) -> None:
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(page.read_text("utf-8").replace("</main>", planted + "</main>"), "utf-8")
    show(browser, spoilt)
    assert any(v.startswith(found) for v in violations(browser))


WIDER = "return document.documentElement.scrollWidth > document.documentElement.clientWidth"


def test_nothing_scrolls_sideways_at_320_pixels(browser: Any, page: Path, tmp_path: Path) -> None:
    show(browser, page, width=320)
    browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert not browser.execute_script(WIDER)
    spoilt = tmp_path / "wide.html"
    spoilt.write_text(page.read_text("utf-8").replace("</main>", '<div style="width: 400px">wide</div></main>'), "utf-8")
    show(browser, spoilt, width=320)
    assert browser.execute_script(WIDER), "a page that is too wide is seen"


def test_it_reads_without_scripts(browser: Any, page: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, page)
        body = browser.find_element("tag name", "main").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    told = (
        "FAILED",
        "got 1, should be 2",
        "adjudge replay 0123456789ab",
        "abs(x) at 0",
        "the rule divides by zero",
        "sign flip",
    )
    drawn = ("Throughput over runs", "times as long", "Releases side by side", "old-bug", "correct")
    for wanted in drawn if page.name == "dashboard.html" else told:
        assert wanted in body


def test_the_keyboard_reaches_everything(browser: Any, page: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    show(browser, page)
    browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
    reachable = "a[href], summary, [tabindex='0']"
    count = browser.execute_script(f'return document.querySelectorAll("{reachable}").length')
    seen = []
    for _ in range(count + 2):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        seen.append(
            browser.execute_script(f'return [...document.querySelectorAll("{reachable}")].indexOf(document.activeElement)')
        )
    assert set(range(count)) <= set(seen)
    assert seen[0] == 0
    assert browser.execute_script("return document.querySelector('.skip').getAttribute('href')") == "#main"
    overflowing = browser.execute_script(
        "return [...document.querySelectorAll('pre, .scroll')].filter(e => e.tabIndex < 0).map(e => e.outerHTML.slice(0, 80))"
    )
    assert overflowing == [], "what may scroll can be focused"


def test_it_prints_on_white_without_what_only_a_screen_needs(browser: Any, page: Path) -> None:
    show(browser, page, "dark")
    media = {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "light"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert browser.execute_script("return getComputedStyle(document.querySelector('nav.contents')).display") == "none"
        assert len(browser.print_page()) > 10_000
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_it_asks_nothing_of_the_network(browser: Any, page: Path) -> None:
    show(browser, page)
    assert browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []
