"""What probes read and write, as values: addresses, requests, answers, patterns, messages. Pure."""
