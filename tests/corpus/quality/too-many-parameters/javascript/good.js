function draw(left, top, width, height, depth, colour, weight) {
    return left;
}
