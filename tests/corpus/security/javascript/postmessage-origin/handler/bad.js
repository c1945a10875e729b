window.onmessage = function (e) { // expect: postmessage-origin
  handle(e.data);
};
