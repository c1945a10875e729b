window.onmessage = function (e) {
  if (!TRUSTED.includes(e.origin)) return;
  handle(e.data);
};
