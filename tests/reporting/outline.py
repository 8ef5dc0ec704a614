"""HTML pages as a test reads them."""

from html.parser import HTMLParser

from tfade.reporting import page


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
