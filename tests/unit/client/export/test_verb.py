"""`taskmasterctl export` as it is typed: files, report, exit codes, and input that is wrong."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from taskmasterctl.cli import main

EXACT = """
programs:
  web:
    cmd: /bin/sleep 5
    user: www-data
    description: sleeps
"""
LOSSY = """
groups: {all-of-them: [web, db]}
programs:
  web:
    cmd: /bin/sleep ${SECONDS_X}
    depends_on: [db]
    pre_restart: /bin/true
  db:
    cmd: /bin/sleep 7
    env: {TOKEN: hidden}
"""
Run = Callable[..., tuple[int, str, list[str]]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Return what writes a configuration and exports it in its directory: exit code, output, lines of the report."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECONDS_X", "5")

    def export(text: str | bytes | None, *words: str) -> tuple[int, str, list[str]]:
        if text is not None:
            Path("t.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
        capfd.readouterr()
        code = main(["-c", "t.yaml", "export", *words])
        out, err = capfd.readouterr()
        return code, out, err.splitlines()

    return export


def test_what_is_carried_whole_is_0_and_goes_to_standard_output(run: Run) -> None:
    code, out, report = run(EXACT, "systemd")
    assert code == 0
    assert "ExecStart=/bin/sleep 5\n" in out
    assert "User=www-data\n" in out
    assert report[-1] == "t.yaml: 1 program: 3 options carried"


def test_a_loss_is_3_and_named_with_file_and_line(run: Run) -> None:
    code, out, report = run(LOSSY, "systemd")
    assert code == 3
    assert any(
        line.startswith("t.yaml:7: dropped: programs.web pre_restart=/bin/true: nothing is asked") for line in report
    )
    assert "# dropped: pre_restart=/bin/true: nothing is asked before a restart" in out
    assert any("dropped: groups.all-of-them" in line for line in report)


def test_strict_writes_nothing_where_something_is_lost(run: Run) -> None:
    code, out, report = run(LOSSY, "systemd", "--strict", "-o", "units")
    assert (code, out, report[-1]) == (3, "", "nothing is written: --strict")
    assert not Path("units").exists()


def test_files_are_written_to_a_directory_and_never_over_others(run: Run) -> None:
    code, out, _ = run(LOSSY, "systemd", "-o", "units")
    assert (code, out, sorted(os.listdir("units"))) == (3, "", ["db.service", "web.service"])
    Path("units/web.service").write_text("mine")
    os.unlink("units/db.service")
    code, _, report = run(LOSSY, "systemd", "-o", "units")
    assert code == 1
    assert "units/web.service: it exists" in report[0]
    assert os.listdir("units") == ["web.service"], "all or nothing"


def test_a_file_with_a_secret_is_for_its_owner_alone(run: Run) -> None:
    run(LOSSY, "systemd", "-o", "units")
    modes = {name: stat.S_IMODE(os.stat(f"units/{name}").st_mode) for name in os.listdir("units")}
    assert modes == {"db.service": 0o600, "web.service": 0o644}


def test_no_report_shows_a_secret(run: Run) -> None:
    for kind in ("systemd", "compose", "kubernetes", "procfile"):
        _, _, report = run(LOSSY.replace("hidden", "h\\x01dden"), kind)
        assert "dden" not in "\n".join(report)


def test_json_is_the_report_beside_files(run: Run) -> None:
    code, out, report = run(LOSSY, "compose", "-o", "c", "--json")
    data = json.loads(out)
    assert (code, data["schema"], data["kind"], data["programs"]) == (3, 1, "compose", 2)
    found = [each for each in data["problems"] if each["key"] == "pre_restart"]
    assert [(each["file"], each["line"], each["word"]) for each in found] == [("t.yaml", 7, "dropped")]
    assert report, "the text goes to standard error all the same"
    assert run(LOSSY, "compose", "--json")[0] == 2


def test_names_groups_and_patterns_choose_programs(run: Run) -> None:
    assert "dropped: depends_on=[db]: db is not exported" in run(LOSSY, "systemd", "web")[1]
    assert "# db.service" in run(LOSSY, "systemd", "all-of-them")[1]
    assert "ExecStart=/bin/sleep 7" in run(LOSSY, "systemd", "d*")[1]
    code, out, report = run(LOSSY, "systemd", "nobody")
    assert (code, out) == (2, "")
    assert "nobody" in report[0]


@pytest.mark.parametrize(
    ("words", "hint"),
    [((), "write one of systemd"), (("nomad",), "write one of"), (("sytemd",), "did you mean systemd?")],
)
def test_an_unknown_kind_is_2(run: Run, words: tuple[str, ...], hint: str) -> None:
    code, out, report = run(EXACT, *words)
    assert (code, out) == (2, "")
    assert hint in "\n".join(report)


def test_a_setting_that_is_no_image_is_2(run: Run) -> None:
    for wrong in ("image", "image=", "=x", "color=red"):
        assert run(EXACT, "compose", "--set", wrong)[0] == 2
    assert 'image: "one"' in run(EXACT, "compose", "--set", "image=two", "--set", "web.image=one")[1]


def test_no_configuration_is_4_and_a_wrong_one_6(run: Run) -> None:
    code, out, report = run(None, "systemd")
    assert (code, out, report) == (4, "", ["taskmasterctl: cannot read t.yaml: no such file"])
    code, out, report = run("programs: {web: {cmd: x, numprocs: many}}", "systemd")
    assert (code, out) == (6, "")
    assert report[0].startswith("t.yaml:1:36: error: programs.web.numprocs")


@pytest.mark.parametrize(
    "text",
    [
        b"programs: {web: {cmd: '\xff'}}",
        b"programs: {web: {cmd: 'a\x00b'}}",
        b"\xfe\xff\x00p",
        "a: &a [x, x]\nb: &b [*a, *a]\n"
        + "".join(f"{chr(99 + n)}: &{chr(99 + n)} [*{chr(98 + n)}, *{chr(98 + n)}]\n" for n in range(20)),
        "include: [t.yaml]\n",
        "[" * 100_000,
        "programs: []",
    ],
    ids=["latin-1", "NUL", "UTF-16", "aliases", "itself", "deep", "none"],
)
def test_hostile_input_is_6_with_a_line(run: Run, text: str | bytes) -> None:
    code, out, report = run(text, "compose")
    assert (code, out) == (6, "")
    assert report


def test_a_directory_as_configuration_is_6_and_a_directory_that_cannot_be_made_1(run: Run) -> None:
    Path("t.yaml").mkdir()
    assert run(None, "systemd")[0] == 6
    Path("t.yaml").rmdir()
    Path("file").write_text("")
    code, _, report = run(EXACT, "systemd", "-o", "file/units")
    assert (code, report[0]) == (1, "taskmasterctl: cannot make the directory file/units: not a directory")


def test_users_that_this_machine_lacks_do_not_stop_an_export(run: Run) -> None:
    code, out, _ = run(EXACT.replace("www-data", "nobody-has-this-name"), "systemd")
    assert code == 0
    assert "User=nobody-has-this-name" in out
