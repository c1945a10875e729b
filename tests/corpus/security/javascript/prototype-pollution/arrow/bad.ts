export const extend = (target: any, source: any): any => {
  for (const k of Object.keys(source)) { // expect: prototype-pollution
    if (source[k] && typeof source[k] === 'object') {
      extend(target[k], source[k]);
    } else {
      target[k] = source[k];
    }
  }
  return target;
};
