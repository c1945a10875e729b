const next = new URLSearchParams(window.location.search).get('next');
window.location.href = '/login' + window.location.search;
location.replace(location.pathname);
if (next === 'profile') {
  window.location.href = next;
}
