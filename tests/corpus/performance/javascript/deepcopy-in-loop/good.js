function copies(template, rows) {
  return rows.map((row) => ({ ...template, row }));
}

const once = (value) => JSON.parse(JSON.stringify(value));

function parsed(lines) {
  return lines.map((line) => JSON.parse(line));
}

function few(value) {
  const all = [];
  for (let i = 0; i < 3; i++) all.push(JSON.parse(JSON.stringify(value)));
  return all;
}
