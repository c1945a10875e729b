const index = (rows) => rows.reduce((all, row) => ({ ...all, [row.id]: row }), {}); // expect: sequence-copied-in-loop

const names = (rows) =>
  rows.reduce((all, row) => [...all, row.name], []); // expect: sequence-copied-in-loop

function flat(groups: number[][]) {
  return groups.reduce((all: number[], group) => {
    if (!group.length) return all;
    return all.concat(group); // expect: sequence-copied-in-loop
  }, [] as number[]);
}

function assigned(rows) {
  return rows.reduce((all, row) => Object.assign({}, all, { [row.id]: 1 }), {}); // expect: sequence-copied-in-loop
}

function loop(rows) {
  let out = [];
  for (const row of rows) {
    out = [...out, row.name]; // expect: sequence-copied-in-loop
  }
  return out;
}

function each(rows) {
  let out = {};
  rows.forEach((row) => {
    out = { ...out, [row.id]: row }; // expect: sequence-copied-in-loop
  });
  return out;
}
