"""HTML helpers: escaped, self-contained, readable by machines."""

from tests.reporting.outline import Outline
from tfade.reporting import page


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
