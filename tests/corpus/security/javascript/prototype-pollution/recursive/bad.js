function merge(target, source) {
  for (const key in source) { // expect: prototype-pollution
    if (typeof source[key] === 'object') {
      merge(target[key], source[key]);
    } else {
      target[key] = source[key];
    }
  }
  return target;
}
module.exports = merge;
