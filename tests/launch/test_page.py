"""HTML helpers and training curves: escaped, self-contained, and nothing that was reported left out."""

from html.parser import HTMLParser

from tfade.reporting import page
from tfade.reporting.curves import curves, terms


class Outline(HTMLParser):
    """Checks that tags are closed in order, and keeps what a page refers to and says."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.sources, self.alts, self.text = [], [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.tags.append(tag)
        self.sources += [named[key] for key in ("src", "href") if key in named]
        if tag == "img":
            self.alts.append(named["alt"])
        if tag not in page.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_text_is_escaped_and_html_is_not():
    assert page.element("p", "a < b & c", class_='"x"') == '<p class="&quot;x&quot;">a &lt; b &amp; c</p>'
    assert page.element("p", page.element("b", "<")) == "<p><b>&lt;</b></p>"
    text = page.page("<script>alert(1)</script>", page.table(["", "<i>"], [["&", "<b>"]]), "a < b")
    outline = Outline(text)
    assert not {"script", "i", "b", "link"} & set(outline.tags)
    assert "<script>alert(1)</script>" in outline.text
    assert not outline.sources


def test_tables_name_their_rows_and_columns():
    text = page.table(["", "value", "how"], [["a", "1", "x"], ["b", "2", "y"]], left=(2,))
    assert text.count('scope="col"') == 3
    assert text.count('<th scope="row">') == 2
    assert text.count('<td class="left">') == 2


def test_pictures_are_inside_and_described():
    outline = Outline(page.page("t", page.picture(b"\x89PNG", "what <is> seen", "below")))
    assert outline.sources == ["data:image/png;base64,iVBORw=="]
    assert outline.alts == ["what <is> seen"]
    assert "below" in outline.text


def test_history_is_read_by_term_and_what_is_no_number_is_left_out():
    rows = [
        {"step": "10", "encoder/loss": "1.5", "validation/loss": "", "critic/real": "nan"},
        {"step": "20", "encoder/loss": "0.5", "validation/loss": "2.0", "critic/real": "inf"},
    ]
    assert terms(rows) == {"loss": {"encoder": ([10, 20], [1.5, 0.5]), "validation": ([20], [2.0])}}
    ((said, png),) = curves(rows)
    assert said == "loss from step 10 to 20; encoder: 1.5 to 0.5, validation: 2 to 2"
    assert png.startswith(b"\x89PNG")
    assert curves([]) == []
    assert len(curves([{"step": "5", "plain": "1e6"}, {"step": "6", "plain": "1"}])) == 1  # a logarithmic axis
