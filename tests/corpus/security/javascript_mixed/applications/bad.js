import { NextApiRequest } from 'next';
import prisma from '../lib/prisma';
import { db } from '@/lib/db';
import * as fs from 'fs';
import path from 'path';
import serialize from 'serialize-javascript';
export default async function handler(req, res) {
  const { slug } = req.query;
  const r = await db.query(`select * from posts where slug='${slug}'`); // expect: sql-injection
  const file = path.join(process.cwd(), 'uploads', slug);
  const s = fs.createReadStream(file); // expect: path-traversal
  res.setHeader('Content-Type', 'text/html'); res.send(`<h1>${slug}</h1>`); // expect: xss
}
router.get('/', (req, res) => {
  let { page = 1, sort } = req.query;
  connection.query('SELECT * FROM a ORDER BY ' + sort + ' LIMIT ?', [page], function (err, rows) { // expect: sql-injection
    if (err) return res.status(500).send('Error: ' + err.message);
    res.send(rows);
  });
});
class Ctl { constructor(db) { this.db = db; }
  async list(req, res) {
    const q = { text: 'SELECT 1 WHERE a=' + req.query.a };
    return this.db.query(q); // expect: sql-injection
  }
}
const build = (t) => `SELECT * FROM ${t}`;
app.get('/b', async (req, res) => { const sql = build(req.params.t); await pool.query(sql); }); // expect: sql-injection
app.get('/c', (req, res) => { const cmd = "convert " + req.body.name; require('child_process').execSync(cmd); }); // expect: command-injection
const { promisify } = require('util'); const execP = promisify(require('child_process').exec);
app.get('/d', async (req, res) => { await execP(`ls ${req.query.d}`) }); // expect: command-injection
const params = new URLSearchParams(window.location.search);
const html = params.get('m');
document.body.innerHTML += `<p>${html}</p>`; // expect: xss
$("#x").html(params.get('q')); // expect: xss
const q = qs.parse(location.search); 
el.insertAdjacentHTML('beforeend', q.name); // expect: xss
document.querySelector('a').href = params.get('u');
location.assign(params.get('next')); // expect: open-redirect
app.use((req, res) => { res.write(`<div>${req.url}</div>`); res.end(); }); // expect: xss
app.get('/e', (req, res) => { const url = req.query.url; axios.get(url).then(r => res.json(r.data)); }); // expect: ssrf
app.get('/f', async (req, res) => { const options = { hostname: req.query.host, path: '/' }; http.request(options, cb); }); // expect: ssrf
app.get('/g', (req, res) => { const f = req.query.f; if (fs.existsSync(f)) { res.sendFile(path.resolve(f)); } }); // expect: path-traversal
app.post('/h', (req, res) => { const user = Object.assign({}, req.body); db.collection('u').insertOne(user); });
app.post('/i', (req, res) => { const data = JSON.parse(req.body.x); eval(data.code); }); // expect: code-injection
app.post('/j', (req, res) => { const out = ejs.render(req.body.tpl, {}); res.send(out); });
app.get('/k', (req, res) => { const name = req.query.name ? req.query.name : 'x'; res.send('Hi ' + name); }); // expect: xss
app.get('/l', (req, res) => { db.run("INSERT INTO a VALUES ('" + req.body.v + "')"); }); // expect: sql-injection
app.get('/m', (req, res) => { const sql = util.format('SELECT * FROM a WHERE b = %s', req.query.b); db.query(sql) }); // expect: sql-injection
app.get('/n', (req, res) => { const sql = "SELECT * FROM t WHERE id = ?".replace('?', req.query.id); db.query(sql) }); // expect: sql-injection
app.get('/o', (req, res) => { return void db.query('SELECT * FROM t WHERE id = ' + db.escape(req.query.id)); });
app.get('/p', async function (req, res) { const u = await User.findOne({ where: { id: req.params.id } }); res.send('<b>' + u.name + '</b>') });
io.on('connection', (socket) => { socket.on('cmd', (msg) => { exec2(msg) }); });
app.get('/q', (req, res) => { const u = new URL(req.query.next, 'https://x.com'); if (u.origin === 'https://x.com') res.redirect(u.pathname); });
app.get('/r', (req, res) => { var sql = ''; sql = sql.concat('select * from a where b=', req.query.b); db.query(sql) }); // expect: sql-injection
app.get('/s', validate, (req, res) => { const n = Number.parseInt(req.query.n); db.query('SELECT ' + n); });
app.get('/t', ({ query: { id } }, res) => { db.query('SELECT * FROM t where id=' + id) }); // expect: sql-injection
function render(el, msg) { el.innerHTML = msg; } // expect: xss
render(box, location.hash);
