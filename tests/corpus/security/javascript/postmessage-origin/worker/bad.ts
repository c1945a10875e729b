window.addEventListener('message', (e: MessageEvent) => { // expect: postmessage-origin
  dispatch(JSON.parse(e.data));
}, false);
