"""Measurements of what Sandstone costs, each beside a named peer in the same run. `python -m benchmarks --help`."""
