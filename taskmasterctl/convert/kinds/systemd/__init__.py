"""Units of systemd, `*.service`. Source: systemd.service(5), systemd.exec(5), systemd.kill(5), systemd.unit(5), systemd.syntax(7)."""
