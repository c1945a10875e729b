const password = '@PASS@'; // pragma: allowlist secret
const secret = '@RANDOM@'; // gitleaks:allow
// eslint-disable-next-line no-secrets/no-secrets
const token = '@RANDOM@';
