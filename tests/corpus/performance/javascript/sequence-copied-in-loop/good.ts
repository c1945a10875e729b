const index = (rows) => Object.fromEntries(rows.map((row) => [row.id, row]));

const total = (rows) => rows.reduce((sum, row) => sum + row.size, 0);

function pushed(rows) {
  return rows.reduce((all, row) => {
    all.push(row.name);
    return all;
  }, []);
}

function few(base) {
  return ['a', 'b'].reduce((all, name) => ({ ...all, [name]: base }), {});
}

function reducer(state = {}, action) {
  for (const change of action.changes) {
    apply(change);
  }
  return { ...state, done: true };
}

function text(words) {
  return words.reduce((all, word) => all.concat(word), '');
}

function fresh(rows) {
  return rows.map((row) => {
    let out = {};
    out = { ...out, ...row };
    return out;
  });
}
