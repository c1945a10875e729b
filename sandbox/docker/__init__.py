"""Sandboxes as containers of a Docker engine: policy, pool, gate, attach stream, verdicts, reaper."""
