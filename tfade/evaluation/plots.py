"""Canvases for plots, without pyplot: no global state, and nothing that a user's own plots could meet."""

import io


def panels_of(count: int, width: float = 4.5, height: float = 3.6):
    """A Matplotlib figure of panels side by side, each of this size in inches, and its axes."""
    from matplotlib.figure import Figure  # takes half a second to import

    figure = Figure((width * count, height), dpi=120, layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def figure_png(figure) -> bytes:
    """The PNG file of a Matplotlib figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
