var t = "@GITHUB@" // nosec G101
