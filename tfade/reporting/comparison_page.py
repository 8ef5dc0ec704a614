"""How a comparison is shown: as a page, as Markdown, and as plain text."""

import textwrap

from tfade.evaluation.report import format_value, words
from tfade.reporting import page

WIDTH = 120  # of what is printed


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


def markdown(header, rows, notes) -> str:
    """A table and its notes as Markdown."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    table = ["| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines]
    return "\n".join([*table, "", *(f"* {note}" for note in notes)]) + "\n"


def plain(header: list[str], rows: list[list[str]]) -> str:
    """Blocks of as many columns as fit into the width, each below the names of the runs."""
    heads = [textwrap.wrap(text, 22) or [""] for text in header]
    widths = [max(map(len, [*head, *(row[place] for row in rows)])) for place, head in enumerate(heads)]
    blocks, room = [[]], WIDTH - widths[0]
    for place in range(1, len(header)):
        if blocks[-1] and sum(widths[p] + 2 for p in [*blocks[-1], place]) > room:
            blocks.append([])
        blocks[-1].append(place)
    texts = []
    for block in blocks:
        height = max(len(heads[place]) for place in block)
        above = [["", *((([""] * height) + heads[p])[-height:][line] for p in block)] for line in range(height)]
        below = [[row[0], *(row[p] for p in block)] for row in rows]
        lines = [
            "  ".join(
                [f"{line[0]:<{widths[0]}}", *(f"{text:>{widths[p]}}" for text, p in zip(line[1:], block))]
            ).rstrip()
            for line in [*above, *below]
        ]
        lines.insert(height, "-" * (widths[0] + sum(widths[p] + 2 for p in block)))
        texts.append("\n".join(lines))
    return "\n\n".join(texts)
