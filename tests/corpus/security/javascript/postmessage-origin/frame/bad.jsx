useEffect(() => {
  window.addEventListener('message', (event) => setHeight(event.data.height)); // expect: postmessage-origin
}, []);
