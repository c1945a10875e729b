module.exports = {
  resetToken: require('crypto').randomBytes(20).toString('hex'),
  jitter: Math.random(),
};
