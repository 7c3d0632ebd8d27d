"""The demo's page for everybody: axe-core finds nothing, in light and dark, wide and on a phone, in both tabs."""

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from demo_server import Server, chromium, open_page

pytestmark = pytest.mark.browser
pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python, which holds axe-core")
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
WIDE = {"viewport": {"width": 1280, "height": 940}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


def violations(page: Any) -> list[str]:
    """What axe-core finds, with the elements."""
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")["violations"]
    return [f"{rule['id']}: {[node['html'] for node in rule['nodes']]}" for rule in found]


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
@pytest.mark.parametrize("shape", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing(browser: Any, server: Server, shape: dict[str, Any], scheme: str) -> None:
    page = open_page(browser, server, **shape, color_scheme=scheme)
    assert page.get_by_text("Removes background noise from recorded and live speech.").is_visible()
    assert violations(page) == [], "empty"
    page.get_by_role("button", name="Cafe").click()
    page.get_by_text("s of CPU time").wait_for()
    page.get_by_label("Limit the attenuation").check()
    page.get_by_label("Noise is lowered").first.wait_for()
    assert violations(page) == [], "with a file"
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start the microphone").wait_for()
    assert violations(page) == [], "live"
    page.context.close()


def test_the_upload_and_all_controls_have_names(browser: Any, server: Server) -> None:
    page = open_page(browser, server, **WIDE)
    assert page.locator("#upload input[type=file]").evaluate(
        "input => (input.labels[0]?.textContent ?? input.ariaLabel)"
    )
    names = page.locator("h1, h2").all_text_contents()
    assert names == ["mpeace", "Examples", "Your own", "Strength"]
    page.context.close()
