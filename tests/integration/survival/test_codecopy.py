"""The copy of the daemon's code: an interpreter that has made one imports from it, whatever becomes of the files."""

from __future__ import annotations

import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.site import copy_packages

pytestmark = pytest.mark.slow
LATE = "taskmasterd.core.words.plans"
COPY = """
import os, shutil, sys
site = {site!r}
sys.path[:0] = [site]
from taskmasterd.installed import Installed
installed = Installed()
from taskmasterd import copying
{before}
copying.copy_code(installed)
{after}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A copy of both packages, without compiled files."""
    copy_packages(tmp_path)
    return tmp_path


def said(site: Path, after: str, before: str = "") -> str:
    """Return the last line of an interpreter that copies the code at `site` between the two pieces of code."""
    code = COPY.format(site=str(site), before=before, after=after)
    done = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", code], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().rpartition("\n")[2]


USE = f"import {LATE} as late; print(late.plan_lines.__name__, late.__file__)"


def test_what_is_imported_later_is_the_code_as_it_was(site: Path) -> None:
    late = site / "taskmasterd" / "core" / "words" / "plans.py"
    assert said(site, f"shutil.rmtree(site); {USE}") == f"plan_lines {late}"


def test_other_code_at_the_place_of_a_copied_module_is_never_run(site: Path) -> None:
    late = site / "taskmasterd" / "core" / "words" / "plans.py"
    assert said(site, f"open({str(late)!r}, 'w').write('raise OSError'); {USE}") == f"plan_lines {late}"


def test_a_compiled_file_is_used_only_if_it_is_of_this_source(site: Path) -> None:
    late = site / "taskmasterd" / "core" / "words" / "plans.py"
    use = f"import {LATE} as late; print(getattr(late, 'mark', 'no mark'))"
    source = late.read_text()
    late.write_text(f"{source}\nmark = 1\n")
    py_compile.compile(str(late), doraise=True)
    assert said(site, use) == "1"
    late.write_text(source)
    assert said(site, use) == "no mark"


def test_a_compiled_file_of_this_source_is_not_compiled_again(site: Path) -> None:
    late = site / "taskmasterd" / "core" / "words" / "plans.py"
    taken = (
        f"import {LATE}; from taskmasterd import copying; print(copying._content({str(late)!r}, copying._ending())[1])"
    )
    assert said(site, taken) == "False"
    py_compile.compile(str(late), doraise=True)
    assert said(site, taken) == "True"


def test_a_module_is_loaded_though_no_descriptor_is_left(site: Path) -> None:
    full = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0)); "
    assert said(site, full + USE).startswith("plan_lines ")


def test_where_no_directory_takes_a_file_the_copy_lies_in_memory(site: Path) -> None:
    assert said(site, USE, "copying.DISK = '/nowhere'").startswith("plan_lines ")


def test_a_fork_that_has_closed_the_copy_imports_from_the_disk_unless_the_code_has_changed(site: Path) -> None:
    opened = "os.closerange(3, 100); [os.open('/dev/zero', os.O_RDONLY) for _ in range(9)]; "
    assert said(site, opened + USE).startswith("plan_lines ")
    changed = "open(site + '/taskmasterd/core/words/plans.py', 'a').write('# other'); "
    assert said(site, opened + changed + USE) == (
        "taskmaster_common.errors.RequestError: "
        "the installed taskmasterd has changed since this daemon was started: run `taskmasterctl upgrade`"
    )


def test_what_only_other_processes_import_is_not_copied_and_is_refused_once_it_has_changed(site: Path) -> None:
    changed = "open(site + '/taskmaster_common/config/keys.py', 'a').write('# other'); "
    use = "import taskmaster_common.config.keys; print('yes')"
    assert "has changed since this daemon was started" in said(site, changed + use)
    assert said(site, use) == "yes"


def test_the_copy_has_no_name_and_goes_with_its_process(site: Path) -> None:
    listing = "print([name for name in os.listdir(copying.DISK) if '.taskmasterd.' + str(os.getpid()) in name])"
    assert said(site, listing) == "[]"


def test_the_whole_daemon_can_come_from_the_copy(site: Path) -> None:
    assert said(site, "shutil.rmtree(site); import taskmasterd.resident; print('all of it')") == "all of it"


def test_what_only_people_read_does_not_stay_in_memory(site: Path) -> None:
    module = "taskmasterd.core.programs.roll"
    use = (
        f"import {module} as late; of = late.Roll.count.fget; "
        "print(late.__doc__, late.Roll.__doc__, of.__doc__, of.__annotations__, of.__code__.co_consts[0])"
    )
    assert said(site, use) == "None None None {} None"
