"""Files as people write them: each import is a configuration that the daemon accepts, and no option is lost without a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.converting import Importer
from tests.support.corpus import CORPUS

pytestmark = pytest.mark.sweep

VARIABLES = {"VIRTUAL_ENV": "/venv", "MINIO_VOLUMES": "/data", "PORT": "9000"}
HARMLESS, WITH_LOSSES, WRONG = 0, 3, 6


def shorter(name: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield (option, text without it)."""
    if name.endswith(".json"):
        data = json.loads(text)
        for key in data["apps"][0]:
            if key not in ("name", "script"):
                yield (
                    key,
                    json.dumps(
                        {**data, "apps": [{each: value for each, value in data["apps"][0].items() if each != key}]}
                    ),
                )
        return
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        option = line.partition("=")[0].strip()
        before, after = lines[number - 1 : number], lines[number + 1 : number + 2]
        continued = (
            line.startswith(" ") or (after and after[0].startswith(" ")) or (before and before[0].endswith("\\\n"))
        )
        needed = option in (
            "command",
            "cmd",
            "ExecStart",
            "programs",
            "process_name",
            "files",
            "numprocs",
            "events",
            "socket",
            "use",
            "port",
            "host",
        )
        if "=" in line and name.endswith((".conf", ".service", ".ini")) and not continued and not needed:
            yield option, "".join(lines[:number] + lines[number + 1 :])


@pytest.mark.parametrize(("name", "text"), CORPUS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CORPUS)])
def test_a_file_as_people_write_it_is_a_configuration_and_loses_nothing_in_silence(
    importer: Importer, name: str, text: str
) -> None:
    def result(content: str) -> Any:
        return importer({name: content}, environment=VARIABLES)

    whole = result(text)
    assert whole.code in (HARMLESS, WITH_LOSSES), whole.report
    assert whole.config is not None
    for option, rest in shorter(name, text):
        without = result(rest)
        assert without.code in (HARMLESS, WITH_LOSSES), (option, without.report)
        assert (without.text, without.report) != (whole.text, whole.report), f"{option} left no trace"


def test_there_are_files_of_every_kind() -> None:
    assert len(CORPUS) >= 40
