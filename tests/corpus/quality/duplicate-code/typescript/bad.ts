function add_up(items: Item[], limit: number) {
  let total = 0;
  const seen = new Set();
  for (const item of items) {
    if (seen.has(item.key) || item.size > limit) {
      continue;
    }
    seen.add(item.key);
    total += item.size * 3;
  }
  return { sum: total, keys: [...seen].sort() };
}

function collect(parcels: Item[], weight: number) {  // expect: duplicate-code
  let load = 0;
  const known = new Set();
  for (const parcel of parcels) {
    if (known.has(parcel.key) || parcel.size > weight) {
      continue;
    }
    known.add(parcel.key);
    load += parcel.size * 3;
  }
  return { sum: load, keys: [...known].sort() };
}
