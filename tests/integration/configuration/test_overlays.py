"""The file of overrides: written whole, read back, never believed where others may write it, never lost where it is unusable."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from taskmaster_common.errors import SystemFailure
from taskmasterd.configuration.overlays import Overlays, day_text, new_override, unreadable
from taskmasterd.core.programs.overlay import Overlay, Scale
from taskmasterd.core.programs.table import Table

OFF = new_override("uid 0", 1_764_300_000.0, "broken disk", enabled=False)


def overlays_at(path: str | None) -> Overlays:
    return Overlays(Table(), path, lambda _plan: iter(()))  # type: ignore[arg-type,return-value]


def place(tmp_path: Path) -> Path:
    return tmp_path / "overrides" / "x.json"


def kept(tmp_path: Path) -> Path:
    overlays_at(str(place(tmp_path))).keep(Overlay({"web": OFF}))
    return place(tmp_path)


def test_a_later_daemon_reads_what_was_kept_and_only_its_user_may(tmp_path: Path) -> None:
    path = kept(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    later = overlays_at(str(path))
    assert later.read() == ""
    assert later.overlay.overrides == {"web": OFF.replace(since=later.overlay.overrides["web"].since)}
    assert os.listdir(path.parent) == ["x.json"]


def test_without_an_override_there_is_no_file_and_none_is_missed(tmp_path: Path) -> None:
    path = kept(tmp_path)
    overlays = overlays_at(str(path))
    overlays.read()
    overlays.keep(Overlay())
    assert not path.exists()
    assert overlays_at(str(path)).read() == ""
    assert overlays_at(str(tmp_path / "nowhere" / "x.json")).read() == ""


def test_scales_are_facts_of_the_state_and_not_in_the_file(tmp_path: Path) -> None:
    overlays = overlays_at(str(place(tmp_path)))
    overlays.keep(Overlay(scales={"web": Scale(5, 2, "uid 0", 1000.0)}))
    assert not place(tmp_path).exists()
    later = overlays_at(None)
    later.resume(overlays.rows())
    assert later.overlay.scales == overlays.overlay.scales


def test_an_override_that_cannot_be_kept_does_not_hold(tmp_path: Path) -> None:
    homeless = overlays_at(None)
    with pytest.raises(SystemFailure, match="there is no directory for the state"):
        homeless.keep(Overlay({"web": OFF}))
    assert not homeless.overlay.overrides
    (tmp_path / "overrides").write_text("in the way")
    with pytest.raises(SystemFailure):
        overlays_at(str(place(tmp_path))).keep(Overlay({"web": OFF}))


@pytest.mark.parametrize(
    "damage", ["{", "[]", '{"taskmaster_overrides":2,"programs":{}}', '{"taskmaster_overrides":1,"programs":{"a":{}}}']
)
def test_a_file_that_makes_no_sense_is_set_aside_and_reported_until_somebody_removes_it(
    tmp_path: Path, damage: str
) -> None:
    path = kept(tmp_path)
    path.write_text(damage)
    overlays = overlays_at(str(path))
    assert f"it is {path}.unusable now; programs that `disable` has disabled may be started" in overlays.read()
    assert not path.exists()
    overlays.keep(Overlay({"db": OFF}))
    assert Path(f"{path}.unusable").read_text() == damage
    later = overlays_at(str(path))
    lost = f"the overrides in {path}.unusable could not be read: `disable` again what they have disabled, and remove it"
    assert (later.read(), later.trouble, unreadable(str(path), os.geteuid())) == (lost, lost, lost)
    os.unlink(later.aside())
    assert (later.read(), later.trouble, unreadable(str(path), os.geteuid())) == ("", "", "")


def test_a_check_says_what_is_wrong_with_a_file_and_leaves_it_where_it_is(tmp_path: Path) -> None:
    path = kept(tmp_path)
    assert unreadable(str(path), os.geteuid()) == ""
    assert "only this daemon may write" in unreadable(str(path), os.geteuid() + 1)
    path.write_text("{")
    said = f"cannot read {path}: it makes no sense; programs that `disable` has disabled may be started"
    assert unreadable(str(path), os.geteuid()) == said
    assert path.exists()


def test_a_file_that_others_may_write_is_not_believed(tmp_path: Path) -> None:
    path = kept(tmp_path)
    path.chmod(0o666)
    overlays = overlays_at(str(path))
    assert "only this daemon may write" in overlays.read()
    assert not overlays.overlay.overrides


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    path = kept(tmp_path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert "cannot read" in overlays_at(str(path)).read()


def test_a_day_of_another_year_has_its_year() -> None:
    day = 1_764_300_000.0
    assert day_text(day, day).split()[1].isalpha()
    assert day_text(day, day + 400 * 86_400).endswith(" 2025")
