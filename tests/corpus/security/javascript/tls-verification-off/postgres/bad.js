const pool = new Pool({
  ssl: { rejectUnauthorized: false }, // expect: tls-verification-off
});
