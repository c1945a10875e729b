function Size() {
  useEffect(() => {
    window.addEventListener('resize', measure);
    return () => window.removeEventListener('resize', measure);
  }, []);
  useEffect(() => {
    const stop = new AbortController();
    window.addEventListener('scroll', measure, { signal: stop.signal });
    return () => stop.abort();
  }, []);
  useEffect(() => {
    image.addEventListener('load', shown, { once: true });
  }, []);
  return <button onClick={() => window.addEventListener('x', y)} />;
}

function buttons(all) {
  for (const button of all) {
    button.addEventListener('click', press);
  }
  for (const name of ['click', 'keydown']) {
    document.addEventListener(name, press);
  }
}
