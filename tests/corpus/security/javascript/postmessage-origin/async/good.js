window.addEventListener('message', async function (message) {
  if (message.source !== window.parent) return;
  await save(message.data);
});
