function copies(template, rows) {
  return rows.map((row) => {
    const made = JSON.parse(JSON.stringify(template)); // expect: deepcopy-in-loop
    made.row = row;
    return made;
  });
}

function states(steps) {
  const all = [];
  for (const step of steps) {
    all.push(JSON.parse(JSON.stringify(step))); // expect: deepcopy-in-loop
  }
  return all;
}
