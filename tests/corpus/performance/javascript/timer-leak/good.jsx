function Clock() {
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    setTimeout(show, 10);
  }, []);
  return <p />;
}

setInterval(collect, 60000);
