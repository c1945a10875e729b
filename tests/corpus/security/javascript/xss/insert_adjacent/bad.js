const box = document.querySelector('.log');
window.addEventListener('message', (event) => {
  if (event.origin !== 'https://a.example') return;
  log(event.data);
});
function log(text) {
  box.insertAdjacentHTML('beforeend', document.referrer + text); // expect: xss
}
