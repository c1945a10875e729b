const key = fs.readFileSync('key.pem');
const HEADER = '-----BEGIN RSA PRIVATE KEY-----';
