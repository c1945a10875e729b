window.addEventListener('message', async function (message) { // expect: postmessage-origin
  await save(message.data);
});
