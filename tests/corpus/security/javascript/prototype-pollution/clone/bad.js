function assign(target, source) {
  Object.keys(source).forEach((key) => key);
  for (const key of Object.keys(source)) { // expect: prototype-pollution
    target[key] = typeof source[key] === 'object' ? assign(target[key] || {}, source[key]) : source[key];
  }
  return target;
}
module.exports = assign;
