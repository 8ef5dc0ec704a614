"""A comparison as a page."""

from tfade.evaluation.report import format_value, words
from tfade.reporting import page


def html(runs, columns, header, rows, notes) -> str:
    """A page with the table, the notes, the figures of all runs by name, and each column's protocol."""
    protocols = [
        page.details(column.header, page.definitions({words(k): format_value(v) for k, v in column.protocol.items()}))
        for column in columns
    ]
    figures: dict[str, list[str]] = {}
    for run in runs:
        for figure in (figure for record in run.records for figure in record.figures):
            picture = page.picture(figure.png, f"{words(figure.name)} of {run.label}", run.label)
            figures.setdefault(figure.name, []).append(picture)
    parts = [page.table(header, rows), page.element("ul", *(page.element("li", note) for note in notes))]
    for name, pictures in figures.items():
        heading = words(name).capitalize()
        parts += [page.element("h2", heading), page.element("div", *pictures, class_="figures small")]
    return page.page("Comparison", *parts, page.element("h2", "Protocols"), *protocols)
