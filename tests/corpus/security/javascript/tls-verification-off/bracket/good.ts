process.env['NODE_EXTRA_CA_CERTS'] = '/etc/ca.pem';
export {};
