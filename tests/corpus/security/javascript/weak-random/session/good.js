const sessionId = crypto.randomUUID();
const delay = Math.random() * 100;
use(sessionId, delay);
