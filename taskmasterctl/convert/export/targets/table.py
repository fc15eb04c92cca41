"""The targets of `export`, by kind."""

from __future__ import annotations

from taskmasterctl.convert.export.targets.compose.files import COMPOSE
from taskmasterctl.convert.export.targets.kubernetes.files import KUBERNETES
from taskmasterctl.convert.export.targets.procfile import PROCFILE
from taskmasterctl.convert.export.targets.systemd.files import SYSTEMD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmasterctl.convert.export.targets.outcome import ExportTarget

TARGETS: Mapping[str, ExportTarget] = {target.kind: target for target in (SYSTEMD, COMPOSE, KUBERNETES, PROCFILE)}
