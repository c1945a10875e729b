import DOMPurify from 'dompurify';
function show() {
  const target = document.querySelector('#x');
  target.outerHTML = DOMPurify.sanitize(`<p>${decodeURIComponent(window.location.hash.slice(1))}</p>`);
}
show();
