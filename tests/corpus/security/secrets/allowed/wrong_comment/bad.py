password = "@PASS@"  # noqa: E501 expect: hardcoded-secret
