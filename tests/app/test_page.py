"""The page in a real browser: choose, move, mark and fit, save and load."""

import shutil
import threading

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="the page is driven by Playwright")
uvicorn = pytest.importorskip("uvicorn")

from benchmarks.explore_pictures import BROWSERS  # noqa: E402
from hpunet_jax.app.server import build_app  # noqa: E402

BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)

pytestmark = [
    pytest.mark.xdist_group("app"),
    pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(BROWSERS)} is installed"),
]


@pytest.fixture
def address(explorer):
    """The page, served by a thread."""
    server = uvicorn.Server(uvicorn.Config(build_app(explorer), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    (socket,) = server.servers[0].sockets
    yield f"http://127.0.0.1:{socket.getsockname()[1]}/"
    server.should_exit = True
    thread.join()


@pytest.fixture
def page(address):
    """The page once its hypotheses are there; errors of its scripts fail the test."""
    errors = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#hypotheses .choice[aria-pressed=true]")
        yield page
        browser.close()
    assert not errors


def digest(page):
    return page.get_attribute("#canvas", "data-digest")


def wait_for_change(page, before):
    page.wait_for_function("before => canvas.dataset.digest !== before", arg=before)


def middle(page, selector):
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_person_chooses_moves_marks_fits_saves_and_loads(page, tmp_path):
    # Choose, by key and by hand.
    page.keyboard.press("1")
    assert page.get_attribute("#hypotheses .choice >> nth=0", "aria-pressed") == "true"

    # Drag a latent of the coarsest scale: the mask follows; undo takes it back.
    before = digest(page)
    page.locator("#latent-0-0").scroll_into_view_if_needed()
    x, y = middle(page, "#latent-0-0")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 190, steps=4)
    page.mouse.up()
    wait_for_change(page, before)
    page.click("#undo")
    page.wait_for_function("digest => canvas.dataset.digest === digest", arg=before)
    page.click("#redo")
    wait_for_change(page, before)

    # Mark a pixel and fit.
    assert page.is_disabled("#fit")
    page.check("[name=tool][value=inside]")
    page.mouse.click(*middle(page, "#canvas"))
    page.click("#fit")
    page.wait_for_function("document.getElementById('status').textContent.includes('marks')")

    # Save, reset, load: the same mask.
    saved = digest(page)
    page.click("#save")
    page.wait_for_function("document.getElementById('written').textContent.includes('.png')")
    assert (tmp_path / "out" / "picture_0_001.png").exists()
    page.click("#reset")
    page.wait_for_function("document.getElementById('status').textContent.includes('prior mean')")
    page.click("#load")
    page.wait_for_function("digest => canvas.dataset.digest === digest", arg=saved)

    # Uncertainty, another picture, and its scale in millimetres.
    page.select_option("#layer", "entropy")
    page.wait_for_function("document.getElementById('agreement').textContent.includes('IoU')")
    page.select_option("#image", "1")
    page.wait_for_function("document.getElementById('status').textContent.includes('mm²')")
    assert page.is_hidden("#error")


def drawn(page):
    return page.evaluate("canvas.toDataURL()")


def show(page, image):
    """Opens an image; returns once its recommended hypothesis is drawn."""
    with page.expect_response("**/api/hypotheses"):
        page.select_option("#image", image)
    page.wait_for_selector("#hypotheses .choice[aria-pressed=true]")


def hold(page, path):
    """Keeps the requests of a path until they are let go."""
    held = []
    page.route(f"**/api/{path}", lambda route: held.append(route))
    return held


def mark_the_middle(page):
    page.check("[name=tool][value=inside]")
    page.mouse.click(*middle(page, "#canvas"))


def let_go(page, path, held):
    with page.expect_response(f"**/api/{path}"):
        held[0].continue_()
    page.wait_for_function("busy.hidden")


@pytest.mark.parametrize(
    ("path", "act"),
    [
        ("uncertainty", lambda page: page.select_option("#layer", "entropy")),
        ("reconstruct", lambda page: page.click("#graders .choice")),
        ("fit", lambda page: (mark_the_middle(page), page.click("#fit"))),
        ("images/2", lambda page: page.select_option("#image", "2")),
    ],
    ids=["uncertainty", "reconstruct", "fit", "image"],
)
def test_an_answer_about_an_image_that_is_no_longer_shown_changes_nothing(page, path, act):
    show(page, "1")
    expected = drawn(page), digest(page), page.text_content("#status")
    show(page, "0")
    held = hold(page, path)
    act(page)
    page.wait_for_timeout(100)  # the request is on its way
    show(page, "1")

    let_go(page, path, held)
    page.wait_for_timeout(300)  # as long as a late answer takes to be drawn
    assert (drawn(page), digest(page), page.text_content("#status")) == expected
    assert page.input_value("#image") == "1"


def test_an_image_that_cannot_be_opened_leaves_the_former_chosen(page):
    show(page, "1")
    page.route("**/api/images/2", lambda route: route.abort())
    page.select_option("#image", "2")
    page.wait_for_selector("#error:not([hidden])")
    assert page.input_value("#image") == "1"


def test_what_is_drawn_over_the_image_is_what_is_chosen_last(page):
    before = drawn(page)
    held = hold(page, "uncertainty")
    page.select_option("#layer", "entropy")
    page.wait_for_timeout(100)
    page.select_option("#layer", "none")
    let_go(page, "uncertainty", held)
    page.wait_for_timeout(300)
    assert drawn(page) == before
