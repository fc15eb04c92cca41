"""Alerts: from what happens to mails, requests, datagrams and commands.

`rules` hears each record of the history and asks `core.alerting` what follows. What a rule tells is a line in its queue on the
disk (`queue`), which `delivery` takes to its destination: `helper`, a child with an interpreter of its own that ends, for mail,
HTTP and syslog by name or TCP; `command` for `cmd`; `datagrams` for syslog by UNIX socket and numeric UDP, from the daemon itself.
Nothing here is loaded before there is a rule, and nothing here touches a program.
"""
