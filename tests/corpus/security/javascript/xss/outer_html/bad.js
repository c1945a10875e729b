function show() {
  const target = document.querySelector('#x');
  target.outerHTML = `<p>${decodeURIComponent(window.location.hash.slice(1))}</p>`; // expect: xss
}
show();
