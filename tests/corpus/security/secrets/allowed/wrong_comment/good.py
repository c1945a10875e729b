password = "@PASS@"  # pragma: allowlist secret
password = "@PASS@"  # nosec
password = "@PASS@"  # noqa: S105
# pragma: allowlist nextline secret
password = "@PASS@"
