class UserStore {
  constructor(private readonly pool: Pool) {}
  async find(email: string) {
    const sql = 'SELECT * FROM users WHERE email = $1';
    return this.pool.query(sql, [email]);
  }
}
const store = new UserStore(pool);
app.get('/u', async (req, res) => res.json(await store.find(req.query.email)));
