function level(boxes) {
  for (const box of boxes) {
    box.style.height = box.parentNode.offsetHeight + 'px'; // expect: layout-thrash
  }
}

document.querySelectorAll('.item').forEach((item) => {
  const width = item.getBoundingClientRect().width; // expect: layout-thrash
  item.style.width = `${width * 2}px`;
});

function stack(items) {
  let top = 0;
  for (let i = 0; i < items.length; i++) {
    items[i].style['top'] = top + 'px';
    top += items[i].clientHeight; // expect: layout-thrash
  }
}
