window.addEventListener('message', (event) => {
  if (event.origin !== 'https://a.example') return;
  store.set(event.data.key, event.data.value);
});
