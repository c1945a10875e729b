const { Client } = require('pg'); const mysql = require('mysql2'); const fs = require('fs'); const http = require('http');
http.createServer(function (request, response) {
  const parsed = require('url').parse(request.url, true);
  const name = parsed.query.name;
  response.end('<h1>' + name + '</h1>'); // expect: xss
  fs.readFile('.' + parsed.pathname, () => {}); // expect: path-traversal
}).listen(80);
exports.handler = async (event) => {
  const id = event.queryStringParameters.id;
  const client = new Client(); await client.connect();
  return client.query(`select * from t where id='${id}'`); // expect: sql-injection
};
fastify.get('/f/:id', async (request, reply) => {
  const { id } = request.params;
  return fastify.pg.query(`SELECT * FROM t WHERE id=${id}`); // expect: sql-injection
});
const getUser = async (userId) => { const [rows] = await pool.execute('SELECT * FROM u WHERE id = ' + userId); return rows; }; // expect: sql-injection
module.exports.get = (req, res, next) => { getUser(req.params.id).then((u) => res.json(u)).catch(next); };
async function f(req, res) { const data = { ...req.body, at: 1 }; const q = 'UPDATE t SET a=' + data.a; await db.query(q); } // expect: sql-injection
app.get('/', (req, res) => { let out = ''; for (const [k, v] of Object.entries(req.query)) { out += `<li>${k}: ${v}</li>`; } res.send(out); }); // expect: xss
app.get('/x', (req, res) => { const parts = []; parts.push('<li>' + req.query.a + '</li>'); res.send(parts.join('')); }); // expect: xss
app.post('/u', upload.single('f'), (req, res) => { fs.renameSync(req.file.path, './up/' + req.file.originalname); }); // expect: path-traversal
function Comp() { const { id } = useParams(); const ref = useRef(); useEffect(() => { ref.current.innerHTML = window.location.hash; }); } // expect: xss
const sqlite = require('sqlite3').verbose(); const sdb = new sqlite.Database(':memory:');
app.get('/y', (req, res) => { sdb.get(`SELECT * FROM t WHERE a = "${req.query.a}"`, (e, r) => res.json(r)); }); // expect: sql-injection
app.get('/z', (req, res) => { const cmd = ['convert', req.query.f, 'o.png'].join(' '); require('child_process').exec(cmd); }); // expect: command-injection
const run = (cmd) => new Promise((resolve) => { require('child_process').exec(cmd, resolve); }); // expect: command-injection
app.get('/w', async (req, res) => { await run(`ls ${req.query.x}`); });
app.get('/v', (req, res) => { const tpl = '<p>%s</p>'; res.send(tpl.replace('%s', req.query.v)); }); // expect: xss
app.get('/r', (req, res) => { const { url = '/' } = req.query; return res.redirect(url); }); // expect: open-redirect
app.get('/s', (req, res) => { const target = decodeURIComponent(req.query.t); request.get({ url: target }, cb); request({ uri: target }); }); // expect: ssrf
app.get('/q', (req, res) => { User.find({ $where: `this.name == '${req.query.n}'` }); }); // expect: nosql-injection
app.get('/p', (req, res) => { const s = req.query.s; try { JSON.parse(s); } catch (e) { return res.status(400).send('bad ' + s); } res.end(); }); // expect: xss
class Svc { static q(n) { return db.query("SELECT * FROM a WHERE n='" + n + "'"); } } // expect: sql-injection
app.get('/o', (req, res) => Svc.q(req.query.n));
const h = async function (req, res) { const sort = req.query.sort; const dir = sort === 'x' ? 'a' : sort; db.query('SELECT 1 FROM t ORDER BY ' + dir); }; // expect: sql-injection
document.cookie.split(';').forEach((c) => { document.getElementById('c').innerHTML += c; }); // expect: xss
window.addEventListener('message', (e) => { if (e.origin !== location.origin) return; eval(e.data); });
jQuery('#a').html(decodeURIComponent(document.location.search)); // expect: xss
const sid = crypto.createHash('md5').update(String(Math.random())).digest('hex'); // expect: weak-crypto, weak-random
