async function load() {
  const reply = await fetch('/comments');
  const comments = await reply.json();
  list.innerHTML = '';
  for (const it of comments) {
    const item = document.createElement('li');
    item.textContent = it.text;
    list.appendChild(item);
  }
  count.innerHTML = `<b>${comments.length}</b>`;
}
load();
