export async function users(ids: string[]) {
  const found = [];
  for (const id of ids) {
    found.push(await getUser(id)); // expect: await-in-loop
  }
  return found;
}

async function pages(urls: string[]) {
  const bodies: Record<string, Response> = {};
  for (const url of urls) {
    const answer = await fetch(url); // expect: await-in-loop
    bodies[url] = answer;
  }
  return bodies;
}

async function sizes(names) {
  let result = [];
  for (const name of names) {
    const file = await fs.promises.readFile(name); // expect: await-in-loop
    result.push(file.length);
  }
  return result;
}

async function orders(customers) {
  for (const customer of customers) {
    customer.orders = await db.orders.findMany({ where: { customer: customer.id } }); // expect: await-in-loop
  }
}
