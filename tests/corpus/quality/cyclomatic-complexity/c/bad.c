int grade(int a, int b) {  // expect: cyclomatic-complexity
    if (a > 0) {
        b = b + 0;
    }
    if (a > 1) {
        b = b + 1;
    }
    if (a > 2) {
        b = b + 2;
    }
    if (a > 3) {
        b = b + 3;
    }
    if (a > 4) {
        b = b + 4;
    }
    if (a > 5) {
        b = b + 5;
    }
    if (a > 6) {
        b = b + 6;
    }
    if (a > 7) {
        b = b + 7;
    }
    if (a > 8) {
        b = b + 8;
    }
    if (a > 9) {
        b = b + 9;
    }
    if (a > 10) {
        b = b + 10;
    }
    return b;
}
