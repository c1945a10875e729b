function Clock() {
  useEffect(() => {
    setInterval(() => setNow(Date.now()), 1000); // expect: timer-leak
  }, []);
  useEffect(() => {
    const timer = window.setInterval(poll, 5000); // expect: timer-leak
    return () => log(timer);
  }, [poll]);
  return <p />;
}
