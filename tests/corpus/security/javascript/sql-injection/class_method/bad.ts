class UserStore {
  constructor(private readonly pool: Pool) {}
  async find(email: string) {
    const sql = `SELECT * FROM users WHERE email = '${email}'`;
    return this.pool.query(sql); // expect: sql-injection
  }
}
const store = new UserStore(pool);
app.get('/u', async (req, res) => res.json(await store.find(req.query.email)));
