function draw(left, top, width, height, depth, colour, weight, opacity) {  // expect: too-many-parameters
    return left;
}
