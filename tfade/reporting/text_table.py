"""Tables as Markdown and as plain text."""

import textwrap
from collections.abc import Sequence

WIDTH = 120  # of plain text, in characters
HEADER_WIDTH = 22  # at which the header of a column is wrapped


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """A table, its first column of names and the others of numbers, and its notes as Markdown."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    table = ["| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines]
    return "\n".join([*table, "", *(f"* {note}" for note in notes)]) + "\n"


def plain(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as plain text: blocks of as many columns as fit into the width, each with the first column again."""
    heads = [textwrap.wrap(text, HEADER_WIDTH) or [""] for text in header]
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
