# pragma: allowlist secret
password = "@PASS@"  # expect: hardcoded-secret
