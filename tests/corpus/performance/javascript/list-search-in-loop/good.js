function unique(items) {
  return [...new Set(items)];
}

function missing(wanted, rows) {
  const names = new Set(rows.map((row) => row.name));
  return wanted.filter((it) => !names.has(it));
}

function short(rows) {
  const allowed = ['open', 'closed'];
  return rows.filter((row) => allowed.includes(row.state));
}

function text(rows, line) {
  const content = line.trim();
  return rows.filter((row) => content.includes(row.name));
}

function own(groups) {
  for (const group of groups) {
    const names = group.map((it) => it.name);
    if (names.includes('main')) return group;
  }
}

function once(rows, name) {
  const names = rows.map((row) => row.name);
  return names.includes(name);
}

function handed(rows, names) {
  return rows.filter((row) => names.includes(row.name));
}

function few(rows) {
  const names = rows.map((row) => row.name);
  return ['a', 'b'].filter((it) => names.includes(it));
}
