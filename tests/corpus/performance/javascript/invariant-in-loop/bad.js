function fill(rows) {
  for (const row of rows) {
    document.querySelector('#list').append(row); // expect: invariant-in-loop
  }
}

function show(names) {
  names.forEach((name) => {
    const list = document.getElementById('names'); // expect: invariant-in-loop
    list.append(name);
  });
}
