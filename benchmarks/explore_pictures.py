"""The pictures of docs/explore.md: the page as a browser shows it.

    hpunet explore --checkpoint=pretrained/lidc_phantom &
    python -m benchmarks.explore_pictures --image="test 1462" --inside="18,28,18,32;26,19,26,22" \\
        --outside="40,22,38,28"

Opens the page, chooses the image, and writes <out>/explore_choose.png: the first hypothesis and the
contours of 10, 50 and 90 %. Then it paints the strokes, has them fitted, and writes
<out>/explore_fit.png in dark mode. It needs Chromium, and `pip install hpunet_jax[dev]`.
"""

import argparse
import pathlib
import shutil
from collections.abc import Sequence

from playwright import sync_api

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZE = {"width": 1280, "height": 800}
Stroke = tuple[int, int, int, int]  # row and column of its first and its last pixel


def strokes(text: str) -> list[Stroke]:
    """Reads "row,column,row,column;..."."""
    read = [tuple(map(int, stroke.split(","))) for stroke in text.split(";") if stroke]
    if any(len(stroke) != 4 for stroke in read):
        raise ValueError(f"{text!r}: a stroke is row,column,row,column; a semicolon parts strokes.")
    return read


def open_page(browser: sync_api.Browser, address: str, image: str) -> sync_api.Page:
    """The page with an image's hypotheses, the first of them chosen."""
    page = browser.new_page(viewport=SIZE)
    page.set_default_timeout(120_000)
    page.goto(address)
    page.wait_for_selector("#hypotheses .choice[aria-pressed=true]")
    with page.expect_response("**/api/hypotheses"):
        page.select_option("#image", label=image)
    page.wait_for_selector("#hypotheses .choice[aria-pressed=true]")
    return page


def paint(page: sync_api.Page, tool: str, stroke: Stroke, size: int) -> None:
    """Draws one stroke on an image of size x size pixels, which fills the canvas' height."""
    page.check(f"[name=tool][value={tool}]")
    box = page.locator("#canvas").bounding_box()
    pixel = min(box["width"], box["height"]) / size
    left = box["x"] + (box["width"] - pixel * size) / 2
    points = [
        (left + (column + 0.5) * pixel, box["y"] + (row + 0.5) * pixel)
        for row, column in (stroke[:2], stroke[2:])
    ]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=20)
    page.mouse.up()


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the two pictures.

    Args:
      arguments: the command line; None takes that of the process.
    """
    parser = argparse.ArgumentParser(description="Takes the pictures of docs/explore.md.")
    parser.add_argument("--address", default="http://127.0.0.1:8321/", help="of the running page")
    parser.add_argument("--image", required=True, help="its name on the page")
    parser.add_argument("--size", type=int, default=64, help="pixels of the image along an axis")
    parser.add_argument("--inside", type=strokes, default=[], help='"row,column,row,column;..."')
    parser.add_argument("--outside", type=strokes, default=[], help="the same")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/pictures"))
    flags = parser.parse_args(arguments)
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = open_page(browser, flags.address, flags.image)
        page.select_option("#style", "contour")
        with page.expect_response("**/api/uncertainty"):
            page.select_option("#layer", "contours")
        page.wait_for_function("busy.hidden")
        page.screenshot(path=flags.out / "explore_choose.png")

        page.emulate_media(color_scheme="dark")
        page.select_option("#style", "fill")
        page.select_option("#layer", "none")
        for tool, drawn in (("inside", flags.inside), ("outside", flags.outside)):
            for stroke in drawn:
                paint(page, tool, stroke, flags.size)
        page.click("#fit")
        page.wait_for_function("document.getElementById('status').textContent.includes('fitted')")
        page.screenshot(path=flags.out / "explore_fit.png")
        browser.close()


if __name__ == "__main__":
    main()
