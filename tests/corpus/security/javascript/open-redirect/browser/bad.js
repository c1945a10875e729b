const next = new URLSearchParams(window.location.search).get('next');
if (next) {
  window.location.href = next; // expect: open-redirect
}
