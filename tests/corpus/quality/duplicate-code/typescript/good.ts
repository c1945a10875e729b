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
