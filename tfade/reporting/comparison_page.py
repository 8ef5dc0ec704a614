"""A comparison as a page."""

from tfade.evaluation.report import format_value, words
from tfade.reporting import page


def html(runs, columns, header, rows, notes) -> str:
    """A page with the table, the notes, the samples of all runs, and each column's protocol."""
    protocols = [
        page.details(column.header, page.definitions({words(k): format_value(v) for k, v in column.protocol.items()}))
        for column in columns
    ]
    samples = [
        page.picture(figure.png, f"samples of {run.label}", run.label)
        for run in runs
        for record in run.records
        for figure in record.figures
        if figure.name == "samples"
    ]
    parts = [page.table(header, rows), page.element("ul", *(page.element("li", note) for note in notes))]
    if samples:
        parts += [page.element("h2", "Samples"), page.element("div", *samples, class_="figures small")]
    return page.page("Comparison", *parts, page.element("h2", "Protocols"), *protocols)
