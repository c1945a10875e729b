password = "@PASS@"  # noqa: S106
