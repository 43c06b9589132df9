"""What any figure must be."""

from matplotlib.figure import Figure


def assert_inside(figure: Figure) -> None:
    """No panel, and no text beside the panels, ends beyond the figure."""
    figure.canvas.draw()
    for axes in figure.axes:
        box = axes.get_position()
        assert -1e-9 <= box.x0 < box.x1 <= 1 + 1e-9
        assert -1e-9 <= box.y0 < box.y1 <= 1 + 1e-9
    for text in figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0, text
        assert box.x1 <= figure.bbox.x1, text
