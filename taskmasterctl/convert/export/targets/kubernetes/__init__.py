"""Export to Kubernetes: a Deployment for each program, a Job for what ends. Pure. Source: its API reference."""
