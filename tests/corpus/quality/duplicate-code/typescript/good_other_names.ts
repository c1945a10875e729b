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

function collect(parcels: Item[], limit: number) {
  let limit = 0;
  const parcels = new Set();
  for (const parcels of parcels) {
    if (parcels.has(parcels.key) || parcels.size > limit) {
      continue;
    }
    parcels.add(parcels.key);
    limit += parcels.size * 3;
  }
  return { sum: limit, keys: [...parcels].sort() };
}
