import axios from 'axios';
const BASE = process.env.STATUS_URL;
export async function load(req: Request, res: Response) {
  const { host } = req.query;
  const reply = await axios({ method: 'get', url: `${BASE}/status`, params: { host } });
  res.json(reply.data);
}
