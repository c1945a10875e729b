# pragma: allowlist nextline secret
password = "@PASS@"
