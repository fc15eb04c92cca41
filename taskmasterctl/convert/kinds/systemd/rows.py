"""The directives of a service, and the keys that they become. docs/coming-from/systemd.md is checked against it."""

from __future__ import annotations

UNIT: dict[str, str] = {
    "Description": "description",
    "Documentation": "",
    "After": "depends_on",
    "Before": "depends_on",
    "Requires": "depends_on",
    "Requisite": "depends_on",
    "Wants": "depends_on",
    "BindsTo": "depends_on",
    "PartOf": "depends_on",
    "Upholds": "depends_on",
    "Conflicts": "",
    "OnFailure": "",
    "OnSuccess": "",
    "DefaultDependencies": "",
    "StartLimitBurst": "restart_burst",
    "StartLimitIntervalSec": "restart_window",
}
"""Directives of [Unit]; "" for none."""

SERVICE: dict[str, str] = {
    "Type": "type",
    "ExecStart": "cmd",
    "ExecStartPre": "pre_start",
    "ExecStartPost": "post_start",
    "ExecStop": "stop_cmd",
    "ExecStopPost": "post_stop",
    "ExecReload": "",
    "ExecCondition": "",
    "Restart": "autorestart",
    "RestartSec": "restart_delay",
    "RestartPreventExitStatus": "",
    "RestartForceExitStatus": "",
    "SuccessExitStatus": "exitcodes",
    "KillSignal": "stopsignal",
    "KillMode": "stopasgroup",
    "SendSIGKILL": "",
    "SendSIGHUP": "",
    "TimeoutStopSec": "stoptime",
    "TimeoutStartSec": "start_timeout",
    "TimeoutSec": "stoptime",
    "RuntimeMaxSec": "recycle",
    "RemainAfterExit": "",
    "WatchdogSec": "health",
    "NotifyAccess": "",
    "PIDFile": "",
    "BusName": "",
    "User": "user",
    "Group": "group",
    "SupplementaryGroups": "",
    "DynamicUser": "",
    "WorkingDirectory": "workingdir",
    "UMask": "umask",
    "Environment": "env",
    "EnvironmentFile": "env_file",
    "PassEnvironment": "",
    "UnsetEnvironment": "env",
    "StandardOutput": "stdout",
    "StandardError": "stderr",
    "StandardInput": "stdin",
    "SyslogIdentifier": "",
    "SyslogFacility": "",
    "Nice": "nice",
    "OOMScoreAdjust": "oom_score_adj",
    "CPUAffinity": "cpu_affinity",
    "MemoryMax": "limits",
    "MemoryHigh": "limits",
    "MemorySwapMax": "limits",
    "CPUQuota": "limits",
    "CPUWeight": "limits",
    "TasksMax": "limits",
}
"""Directives of [Service]; `Limit…` are in LIMITS, sandboxes in PROTECTIONS."""

INSTALL: dict[str, str] = {
    "WantedBy": "autostart",
    "RequiredBy": "autostart",
    "Alias": "",
    "Also": "",
    "DefaultInstance": "",
}
"""Directives of [Install]."""

LIMITS: dict[str, str] = {
    "LimitAS": "as", "LimitCORE": "core", "LimitCPU": "cpu", "LimitDATA": "data", "LimitFSIZE": "fsize", "LimitLOCKS": "locks",
    "LimitMEMLOCK": "memlock", "LimitMSGQUEUE": "msgqueue", "LimitNICE": "nice", "LimitNOFILE": "nofile", "LimitNPROC": "nproc",
    "LimitRSS": "rss", "LimitRTPRIO": "rtprio", "LimitRTTIME": "rttime", "LimitSIGPENDING": "sigpending", "LimitSTACK": "stack",
}  # fmt: skip
"""Directives of resource limits, and their names in `rlimits`."""

PROTECTIONS = (
    "AmbientCapabilities", "AppArmorProfile", "BindPaths", "BindReadOnlyPaths", "CapabilityBoundingSet", "DeviceAllow",
    "DevicePolicy", "ExecPaths", "IPAddressAllow", "IPAddressDeny", "InaccessiblePaths", "KeyringMode", "LockPersonality",
    "MemoryDenyWriteExecute", "NoExecPaths", "NoNewPrivileges", "PrivateDevices", "PrivateIPC", "PrivateMounts", "PrivateNetwork",
    "PrivateTmp", "PrivateUsers", "ProcSubset", "ProtectClock", "ProtectControlGroups", "ProtectHome", "ProtectHostname",
    "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProtectSystem", "ReadOnlyPaths",
    "ReadWritePaths", "RemoveIPC", "RestrictAddressFamilies", "RestrictFileSystems", "RestrictNamespaces", "RestrictRealtime",
    "RestrictSUIDSGID", "RootDirectory", "RootImage", "SELinuxContext", "SecureBits", "SmackProcessLabel", "SocketBindAllow",
    "SocketBindDeny", "SystemCallArchitectures", "SystemCallErrorNumber", "SystemCallFilter", "TemporaryFileSystem",
    "LoadCredential", "SetCredential",
)  # fmt: skip
"""Directives that keep a program from something."""
