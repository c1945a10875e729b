export const extend = (target: any, source: any): any => {
  const made = Object.create(null);
  for (const k of Object.keys(source)) {
    if (source[k] && typeof source[k] === 'object') {
      made[k] = extend(target[k], source[k]);
    } else {
      made[k] = source[k];
    }
  }
  return made;
};
