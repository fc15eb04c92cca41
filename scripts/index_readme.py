"""The description of the package on an index: the README, without links that lead nowhere outside its tree.

hatchling runs this when it makes the metadata of a wheel, of an sdist and of an editable install (`[tool.hatch.metadata]`). No
address of the project on the web is known, so a page is named as it is installed, below share/doc/taskmasterd.
"""

from __future__ import annotations

import os
import re
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

WHERE = """The pages that this one names are installed with it, below `share/doc/taskmasterd`; `taskmasterd --files` says where
that is.
"""
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
"""A link or a picture: "!" or "", its text, its target."""
FENCE = "```"


def for_index(readme: str) -> str:
    """Return the README with each link that is relative, or leads to a heading, as text: an index gives headings no names."""
    title, _, rest = readme.partition("\n")
    kept: list[str] = []
    for number, part in enumerate(re.split(rf"(?m)^{FENCE}", rest)):
        kept.append(part if number % 2 else LINK.sub(_plain, part))
    return f"{title}\n\n{WHERE}{FENCE.join(kept)}"


def _plain(link: re.Match[str]) -> str:
    picture, target, text = link[1], link[3], LINK.sub(_plain, link[2])  # a picture may be a link
    if "://" in target:
        return f"{picture}[{text}]({target})"
    if picture or target.startswith("#"):
        return text
    page = target.partition("#")[0]
    return text if page in text else f"{text} (`{page}`)"


class IndexReadme(MetadataHookInterface):
    """Puts the description into the metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add `readme` to the project's table."""
        with open(os.path.join(self.root, "README.md"), encoding="utf-8") as file:
            metadata["readme"] = {"content-type": "text/markdown", "text": for_index(file.read())}
