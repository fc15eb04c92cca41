"""circus.ini. Source: the documentation of circus, and version 0.19."""
