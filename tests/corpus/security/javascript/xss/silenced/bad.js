const text = decodeURI(location.hash);
// eslint-disable-next-line no-console
panel.innerHTML = text; // expect: xss
