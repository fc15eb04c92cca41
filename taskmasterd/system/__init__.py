"""The effects: each file wraps one idea of the kernel behind a small class and knows nothing of policy."""
