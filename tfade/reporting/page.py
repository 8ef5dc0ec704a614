"""Self-contained HTML pages: no scripts, no links, pictures embedded."""

import base64
import html
from collections.abc import Iterable, Sequence

STYLE = """
:root { color-scheme: light dark; --line: rgb(128 128 128 / .35); --soft: rgb(128 128 128 / .12); }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .5rem 0; } h2 { font-size: 1.25rem; margin: 2rem 0 .6rem; }
p { margin: .4rem 0; max-width: 60rem; }
.quiet, figcaption { font-size: .87rem; opacity: .8; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .9rem .3rem 0; text-align: right; vertical-align: top;
  overflow-wrap: normal; }
thead th { vertical-align: bottom; } th { font-weight: 600; } tbody th { font-weight: 400; min-width: 8.5rem; }
th:first-child, td:first-child, .left { text-align: left; }
td { white-space: nowrap; } td details { white-space: normal; text-align: left; min-width: 11rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1.2rem; align-items: flex-start; }
.figures figure { flex: 0 1 34rem; min-width: 0; } .small figure { flex-basis: 22.5rem; }
.figures .broad { flex-basis: 100%; }
figure { margin: 0; } figcaption { margin-top: .2rem; }
img { display: block; max-width: 100%; height: auto; background: white; }
summary { cursor: pointer; } code, pre { font: .85rem/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .7rem; overflow-x: auto; white-space: pre; }
pre.command { white-space: pre-wrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 .8rem; margin: .3rem 0; font-size: .85rem; }
dt { opacity: .75; } dd { margin: 0; }
"""
VOID = ("img", "meta")


class Html(str):
    """Text that is HTML; any other text is escaped where it enters a page."""


def element(tag: str, *content: str, **attributes: str) -> Html:
    """`<tag attribute="…">content</tag>`; an attribute that is a keyword of Python ends in an underscore."""
    typed = "".join(f' {name.rstrip("_")}="{html.escape(str(value))}"' for name, value in attributes.items())
    inside = "".join(map(escaped, content))
    return Html(f"<{tag}{typed}>" if tag in VOID else f"<{tag}{typed}>{inside}</{tag}>")


def escaped(text: str) -> Html:
    """Text as HTML, and HTML as it is."""
    return text if isinstance(text, Html) else Html(html.escape(str(text)))


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = ()) -> Html:
    """A table that scrolls sideways where it is wider than the window; `left`: columns of text, aligned left."""

    def line(texts, scope):
        for column, text in enumerate(texts):
            heads = {"scope": scope} if scope == "col" or column == 0 else {}
            side = {"class_": "left"} if column in left else {}
            yield element("th" if heads else "td", text, **heads, **side)

    head = element("thead", element("tr", *line(header, "col")))
    body = element("tbody", *(Html(element("tr", *line(row, "row")) + "\n") for row in rows))
    return element("div", element("table", head, body), class_="wide")


def picture(png: bytes, alt: str, caption: str | None = None, broad: bool = False) -> Html:
    """A figure with an optional caption; `alt` describes it to people who cannot see it. A broad one fills a row."""
    image = element("img", src="data:image/png;base64," + base64.b64encode(png).decode(), alt=alt)
    text = [element("figcaption", caption)] if caption else []
    return Html(element("figure", image, *text, **({"class_": "broad"} if broad else {})) + "\n")


def definitions(named: dict) -> Html:
    """A list of names and what they stand for."""
    return element("dl", *(part for name, text in named.items() for part in (element("dt", name), element("dd", text))))


def details(summary: str, *content: str) -> Html:
    """Content that opens when its summary is clicked."""
    return element("details", element("summary", summary), *content)


def page(title: str, *content: str) -> str:
    """A whole page with its title as the first heading."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(STYLE)),
    )
    main = element("main", element("h1", title), *(Html(escaped(part) + "\n") for part in content))
    return "<!doctype html>\n" + element("html", head, "\n", element("body", main), lang="en") + "\n"
