int draw(int left, int top, int width, int height, int depth, int colour, int weight, int opacity) {  // expect: too-many-parameters
    return left;
}
