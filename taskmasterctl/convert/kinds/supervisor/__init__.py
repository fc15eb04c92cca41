"""supervisord.conf. Source of what supervisor does: its documentation and version 4.3."""
