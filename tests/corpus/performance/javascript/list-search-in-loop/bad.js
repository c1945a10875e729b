function unique(items) {
  const seen = [];
  for (const item of items) {
    if (!seen.includes(item)) seen.push(item); // expect: list-search-in-loop
  }
  return seen;
}

function missing(wanted, rows) {
  const names = rows.map((row) => row.name);
  return wanted.filter((it) => names.indexOf(it) === -1); // expect: list-search-in-loop
}

function joined(orders, raw) {
  const customers = Object.values(raw);
  orders.forEach((order) => {
    order.customer = customers.find((it) => it.id === order.customerId); // expect: list-search-in-loop
  });
}

function walk(queue) {
  const done = [];
  while (queue.length) {
    const node = queue.pop();
    if (done.some((it) => it.id === node.id)) continue; // expect: list-search-in-loop
    done.push(node);
  }
}
