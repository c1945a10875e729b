addEventListener('message', ({ data, origin }) => {
  if (origin === location.origin) handle(data);
});
