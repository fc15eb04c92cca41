"""Which versions are older than others."""

from __future__ import annotations

import itertools

import pytest

from taskmasterctl.reply.versions import age_text

IN_ORDER = (
    "0.0.9",
    "0.1.0",
    "0.9.10",
    "1.0.0a2",
    "1.0.0b1",
    "1.0.0rc1",
    "1.0.0rc2",
    "1.0.0rc10",
    "1.0.0",
    "1.0.1rc1",
    "1.1.0",
    "10.0.0",
)


@pytest.mark.parametrize(("older", "newer"), list(itertools.pairwise(IN_ORDER)))
def test_a_daemon_is_older_than_a_client_of_a_later_version_or_candidate_and_not_the_other_way_round(
    older: str, newer: str
) -> None:
    said = age_text({"version": older}, newer, "taskmasterctl")
    assert said.startswith(f"the daemon ({older}) is older than this client ({newer})")
    assert age_text({"version": newer}, older, "taskmasterctl") == ""
    assert age_text({"version": newer}, newer, "taskmasterctl") == ""


@pytest.mark.parametrize("odd", ["", "odd", "1.0.0-beta", "1.0.0rc", "1..0", "v1.0.0", "1.0.0rc1.dev3"])
def test_what_is_no_version_is_neither_older_nor_newer(odd: str) -> None:
    assert age_text({"version": odd}, "1.0.0", "taskmasterctl") == ""
    assert age_text({"version": "1.0.0"}, odd, "taskmasterctl") == ""
