function level(boxes) {
  const heights = boxes.map((box) => box.offsetHeight);
  boxes.forEach((box, at) => {
    box.style.height = heights[at] + 'px';
  });
}

function one(box) {
  box.style.height = box.offsetHeight + 'px';
}

function few(a, b) {
  for (const box of [a, b]) {
    box.style.height = box.offsetHeight + 'px';
  }
}

function names(items) {
  for (const item of items) {
    item.style = item.height;
  }
}
