"""What MkDocs has to know of docs/: anchors as forges make them, and links that leave the folder, which a site does not have."""

from __future__ import annotations

import posixpath
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LINK = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)\s]*)\)")


def on_config(config: Any) -> Any:  # noqa: D103 - named by MkDocs
    config.mdx_configs.setdefault("toc", {})["slugify"] = anchor
    return config


def on_page_markdown(markdown: str, *, page: Any, **_others: object) -> str:
    """Return the page; what a link outside docs/ leads to is named, since only a checkout has it."""
    folder = posixpath.dirname(page.file.src_uri)

    def kept(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, found[2]))
        return (
            found[0] if not target.startswith("../") else f"{found[1]} (`{target.removeprefix('../')}` of the sources)"
        )

    return LINK.sub(kept, markdown)


def anchor(title: str, separator: str) -> str:
    """Return the anchor of a heading: lower case, no punctuation, a separator for each blank."""
    return re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", separator)
