"""Reads a page from standard input as a strict reader does, and says on standard output what is wrong:
tags that are not closed, names that nothing has, headers of tables without scope, and anything that
a browser would run or load."""

import re
import sys
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}
ALLOWED = set(
    """html head meta title link style body header main footer section div span h1 h2 h3 p b small bdi
    code dl dt dd ul li time table thead tbody tr th td details summary figure figcaption svg symbol
    path circle rect use""".split()
) | {"title"}


class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.wrong, self.ids, self.named = [], [], [], []
        self.headings, self.landmarks, self.tables = [], [], 0

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        values = dict(attributes)
        if tag not in ALLOWED:
            self.wrong.append(f"<{tag}>")
        if len(names) != len(set(names)):
            self.wrong.append(f"<{tag}> has an attribute twice: {names}")
        for name, value in attributes:
            if name.startswith("on") or name == "style" or value is None:
                self.wrong.append(f"<{tag} {name}={value}>")
            if name in ("href", "src") and not (value.startswith("#") or value.startswith("data:image/svg+xml;base64,")):
                self.wrong.append(f"<{tag} {name}={value}>")
        if "id" in values:
            self.ids.append(values["id"])
        self.named += [name for name in values.get("aria-labelledby", "").split()]
        if values.get("href", "").startswith("#"):
            self.named.append(values["href"][1:])
        if tag == "th" and values.get("scope") not in ("col", "row"):
            self.wrong.append("<th> without scope")
        if tag == "section" and not {"aria-label", "aria-labelledby"} & set(names):
            self.wrong.append("<section> without a name")
        if tag == "svg" and not (values.get("aria-hidden") == "true" or (values.get("role") == "img" and values.get("aria-label"))):
            self.wrong.append("<svg> without a name")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag in ("main", "header", "footer"):
            self.landmarks.append(tag)
        self.tables += tag == "table"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> in {self.open}, line {self.getpos()}")

    def handle_data(self, data):
        if "\x00" in data or re.search("[\x01-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]", data):
            self.wrong.append(f"a control character in {data!r}")


text = sys.stdin.buffer.read().decode("utf-8")
page = Page()
page.feed(text)
page.close()
wrong = page.wrong
if page.open:
    wrong.append(f"not closed: {page.open}")
if len(page.ids) != len(set(page.ids)):
    wrong.append(f"ids twice: {page.ids}")
if missing := set(page.named) - set(page.ids):
    wrong.append(f"nothing has the ids {missing}")
if page.headings.count(1) != 1 or any(b - a > 1 for a, b in zip(page.headings, page.headings[1:])):
    wrong.append(f"headings: {page.headings}")
if page.landmarks.count("main") != 1:
    wrong.append(f"landmarks: {page.landmarks}")
if not text.startswith("<!doctype html>\n<html lang=\"en\">"):
    wrong.append("no doctype or language")
if "default-src 'none'; style-src 'sha256-" not in text or "unsafe-" in text:
    wrong.append("no strict policy")
print("\n".join(wrong), end="")
