useEffect(() => {
  window.addEventListener('message', (event) => {
    if (event.origin === FRAME) setHeight(event.data.height);
  });
  window.addEventListener('resize', (event) => setHeight(event.data));
}, []);
