password = "@PASS@"  # noqa: S603, expect: hardcoded-secret
