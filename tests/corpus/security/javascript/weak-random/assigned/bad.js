user.apiKey = `k${Math.random()}`; // expect: weak-random
