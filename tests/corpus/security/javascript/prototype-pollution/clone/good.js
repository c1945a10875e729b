function clone(value) {
  if (value === null || typeof value !== 'object') return value;
  const made = {};
  for (const key of Object.keys(value)) {
    made[key] = clone(value[key]);
  }
  return made;
}
module.exports = clone;
