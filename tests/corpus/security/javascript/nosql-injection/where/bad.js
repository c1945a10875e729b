app.get('/old', async (req, res) => {
  res.json(await db.collection('p').find({ $where: 'this.age > ' + req.query.age }).toArray()); // expect: nosql-injection
});
