"""The drawing of the seven states in ARCHITECTURE.md is what `step` does."""

from __future__ import annotations

from scripts import states
from tests.support.daemon import ROOT
from tests.support.walk import POLICIES, World


def test_the_page_holds_the_drawing_that_the_script_makes_now() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    assert states.drawing() in page
    assert states.architecture(page) == page, "run: python -m scripts.generate"


def test_the_drawing_has_every_change_of_state_of_the_exhaustive_walk_and_no_other() -> None:
    walked = {
        (edge.before.state, edge.after.state)
        for policy in POLICIES
        for edges in World(policy).edges.values()
        for edge in edges
        if edge.before.state != edge.after.state
    }
    assert set(states.edges()) == walked
