user.apiKey = `k${crypto.randomUUID()}`;
user.position = Math.random();
