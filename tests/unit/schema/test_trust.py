"""Who could write what root obeys: files, directories on their way, links, directories of patterns."""

from __future__ import annotations

import pytest

from taskmaster_common.schema import File, Step
from tests.support.host import MAIN, load, problems

ROOT = Step("/", 0o755, 0, 0)
TMP = Step("/tmp", 0o1777, 0, 0)
ETC = Step("/etc/tm", 0o755, 0, 0)
CONF = "/etc/tm/conf.d"
INCLUDE = "include: [conf.d/*.yaml]\nprograms: {}"
GOOD = b"programs: {}"


def included(*way: Step, **facts: int) -> File:
    return File(GOOD, way=way, **facts)


def refused(way: tuple[Step, ...]) -> list[str]:
    return problems(INCLUDE, {f"{CONF}/a.yaml": GOOD}, listed=lambda _pattern: [way])


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o722, 0o1777])
def test_a_directory_in_which_a_pattern_looks_is_refused_when_others_may_add_files(mode: int) -> None:
    (found,) = refused((ROOT, ETC, Step(CONF, mode, 0, 0)))
    reason = f"everybody may put files into this directory (mode {mode:04o}), and root would obey them; chmod o-w"
    assert found == f"taskmaster.yaml:1:11: error: include: conf.d: {reason}"


def test_a_directory_that_a_pattern_names_is_judged_before_there_is_a_file_in_it() -> None:
    (found,) = problems(INCLUDE, listed=lambda _pattern: [(ROOT, Step(CONF, 0o777, 0, 0))])
    assert "conf.d: everybody may put files into this directory" in found


def test_a_directory_above_that_others_may_replace_is_refused() -> None:
    (found,) = refused((ROOT, Step("/srv", 0o777, 0, 0), Step(CONF, 0o755, 0, 0)))
    assert "include: /srv: everybody may put files into this directory" in found


def test_a_sticky_directory_above_is_harmless_since_what_is_in_it_is_roots() -> None:
    way = (ROOT, TMP, Step("/tmp/conf.d", 0o755, 0, 0))
    loaded = load(INCLUDE, {f"{CONF}/a.yaml": included(*way)}, listed=lambda _pattern: [way])
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Step(CONF, 0o755, 1000, 0), "this directory belongs to uid 1000, who decides what root runs; chown root"),
        (
            Step(CONF, 0o777, 1000, 0, link=True),
            "this link belongs to uid 1000, who decides what root runs; chown root",
        ),
    ],
    ids=["directory", "link"],
)
def test_a_way_to_an_included_file_that_somebody_else_owns_is_refused(step: Step, reason: str) -> None:
    assert problems(INCLUDE, {f"{CONF}/a.yaml": included(ROOT, step)}) == [f"conf.d: error: {reason}"]


def test_an_included_file_of_another_owner_is_refused_as_root_and_no_concern_of_others() -> None:
    files = {f"{CONF}/a.yaml": included(ROOT, ETC, uid=1000)}
    assert problems(INCLUDE, files) == [
        "conf.d/a.yaml: error: it belongs to uid 1000, who decides what root runs; chown root"
    ]
    assert load(INCLUDE, files, uid=1000).warnings == ()


def test_uids_that_are_trusted_may_own_what_is_included() -> None:
    files = {f"{CONF}/a.yaml": included(Step("/", 0o755, 65534, 65534), uid=65534)}
    assert load(INCLUDE, files, trusted=(0, 65534)).warnings == ()


def test_the_directory_of_the_main_file_is_judged_like_the_file() -> None:
    def main(step: Step) -> File:
        return File(GOOD, way=(ROOT, step))

    assert load(b"", {MAIN: main(TMP)}).warnings == ()
    assert load(b"", {MAIN: main(ETC)}).warnings == ()
    assert problems(b"", {MAIN: main(Step("/srv", 0o777, 0, 0))}) == [
        "/srv: error: everybody may put files into this directory (mode 0777), and root would obey them; chmod o-w"
    ]
    (owner,) = load(b"", {MAIN: main(Step("/srv", 0o755, 1000, 0))}).warnings
    assert owner == "/srv: warning: this directory belongs to uid 1000, who decides what root runs; chown root"
    (group,) = load(b"", {MAIN: main(Step("/srv", 0o775, 0, 50))}).warnings
    assert group.startswith("/srv: warning: the group 50 may put files into this directory")
    assert load(b"", {MAIN: main(Step("/srv", 0o775, 0, 0))}).warnings == ()
    assert load(b"", {MAIN: main(Step("/srv", 0o777, 1000, 5))}, uid=1000).warnings == ()


def test_an_owner_is_warned_of_once_and_a_directory_is_told_once_for_all_its_files() -> None:
    home = Step("/home/bob", 0o755, 1000, 0)
    main = File(GOOD, uid=1000, way=(ROOT, home, Step("/home/bob/tm", 0o755, 1000, 0)))
    assert len(load(b"", {MAIN: main}).warnings) == 1
    way = (ROOT, Step(CONF, 0o777, 0, 0))
    files = {f"{CONF}/{name}.yaml": included(*way) for name in "abc"}
    assert len(problems(INCLUDE, files)) == 1
