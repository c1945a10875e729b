const worker = new Worker('w.js');
worker.addEventListener('message', (e: MessageEvent) => dispatch(e.data));
worker.onmessage = (e) => dispatch(e.data);
socket.addEventListener('message', (e) => dispatch(e.data));
