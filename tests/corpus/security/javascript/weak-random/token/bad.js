function createToken() {
  return Math.random().toString(36).slice(2); // expect: weak-random
}
