const sessionId = 'sess_' + Math.random().toString(16); // expect: weak-random
use(sessionId);
