import axios from 'axios';
export async function load(req: Request, res: Response) {
  const { host } = req.query;
  const reply = await axios({ method: 'get', url: `http://${host}/status` }); // expect: ssrf
  res.json(reply.data);
}
