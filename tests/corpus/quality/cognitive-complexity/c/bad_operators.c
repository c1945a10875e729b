int decide(int a, int b) {  // expect: cognitive-complexity, cyclomatic-complexity
    if (a > 1 && b > 0 || b > 1 && b > 2 || b > 3 && b > 4 || b > 5 && b > 6 || b > 7 && b > 8) {
        return 1;
    }
    if (a > 1 && b > 0 || b > 1 && b > 2 || b > 3 && b > 4 || b > 5 && b > 6 || b > 7) {
        return 2;
    }
    return a;
}
