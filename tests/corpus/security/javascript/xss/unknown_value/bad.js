async function load() {
  const reply = await fetch('/comments');
  const comments = await reply.json();
  list.innerHTML = comments.map((it) => `<li>${it.text}</li>`).join(''); // expect: xss
}
load();
