var t = "@GITHUB@" // nolint, expect: hardcoded-secret
