if (process.env.NODE_TLS_REJECT_UNAUTHORIZED === '0') console.warn('certificates are not verified');
process.env.NODE_ENV = 'test';
