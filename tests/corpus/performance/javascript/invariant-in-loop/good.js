function fill(rows) {
  const list = document.querySelector('#list');
  for (const row of rows) {
    list.append(row);
  }
}

function show(names) {
  names.forEach((name) => document.getElementById(name).remove());
}

function clear() {
  while (document.querySelector('.old')) {
    document.querySelector('.old').remove();
  }
}

function few() {
  for (const name of ['a', 'b']) {
    document.querySelector('#list').append(name);
  }
}
