window.addEventListener('message', (event) => { // expect: postmessage-origin
  store.set(event.data.key, event.data.value);
});
