module.exports = {
  resetToken: Math.random().toString(36), // expect: weak-random
};
