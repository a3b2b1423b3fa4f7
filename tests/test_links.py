"""Every relative link of a page leads to a file, and to a heading that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TREE = Path(__file__).parents[1]
PAGES = sorted(
    path
    for folder in (
        TREE,
        TREE / "dqlite",
        *(TREE / "docs").glob("**/"),
        *(TREE / "examples").glob("**/"),
    )
    for path in folder.glob("*.md")
)
FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.M)


def anchors(page: Path) -> set[str]:
    """The fragments of a page's headings, as GitHub makes them of words."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", found) for found in HEADING.findall(text))
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(TREE)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        name, _, fragment = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = page.parent / name if name else page
        is_lost = fragment and target.suffix == ".md" and target.exists()
        if not target.exists() or (is_lost and fragment not in anchors(target)):
            broken.append(link)

    assert broken == []
