const pool = new Pool({
  ssl: { ca: fs.readFileSync('ca.pem') },
});
