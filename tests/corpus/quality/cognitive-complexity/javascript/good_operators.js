function decide(a, b) {
    if (a > 1 && b > 0 || b > 1 && b > 2 || b > 3) {
        return 1;
    }
    return a;
}
