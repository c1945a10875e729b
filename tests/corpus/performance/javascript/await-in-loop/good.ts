export async function users(ids: string[]) {
  return Promise.all(ids.map((id) => getUser(id)));
}

async function lines(stream) {
  for await (const line of stream) {
    console.log(await readLine(line));
  }
}

async function first(mirrors) {
  for (const mirror of mirrors) {
    const answer = await fetch(mirror);
    if (answer.ok) return answer;
  }
}

async function chained(steps) {
  let value = null;
  for (const step of steps) {
    value = await getNext(step, value);
  }
  return value;
}

async function politely(urls) {
  const found = [];
  for (const url of urls) {
    found.push(await fetch(url));
    await sleep(1000);
  }
  return found;
}

async function saved(rows) {
  for (const row of rows) {
    await save(row);
  }
}

async function few() {
  const found = [];
  for (const name of ['a', 'b']) {
    found.push(await fetchPart(name));
  }
  return found;
}

async function tests(page, names) {
  const texts = [];
  for (const name of names) {
    texts.push(await page.getText(name));
  }
  return texts;
}

async function all(cursor) {
  const rows = [];
  while (cursor.more) {
    rows.push(await cursor.getNext());
  }
  return rows;
}
