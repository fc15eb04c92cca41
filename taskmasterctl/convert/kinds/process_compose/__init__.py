"""process-compose.yaml. Source: the documentation of process-compose 1.x."""
