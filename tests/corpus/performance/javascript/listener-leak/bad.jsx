function Size() {
  useEffect(() => {
    window.addEventListener('resize', measure); // expect: listener-leak
  }, []);
  React.useLayoutEffect(function () {
    const node = ref.current;
    node.addEventListener('scroll', () => setTop(node.scrollTop)); // expect: listener-leak
    return () => log('gone');
  }, [ref]);
  return <div />;
}

function buttons(all) {
  for (const button of all) {
    document.addEventListener('click', (event) => press(button, event)); // expect: listener-leak
  }
}
