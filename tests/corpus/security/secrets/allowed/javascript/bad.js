const password = '@PASS@'; // eslint-disable-line no-console, expect: hardcoded-secret
