final class Sample {
    static int draw(int left, int top, int width, int height, int depth, int colour, int weight) {
        return left;
    }

}
