pub fn grade(a: i64, b: i64) -> i64 {
    if a > 0 {
        b = b + 0;
    }
    if a > 1 {
        b = b + 1;
    }
    if a > 2 {
        b = b + 2;
    }
    if a > 3 {
        b = b + 3;
    }
    if a > 4 {
        b = b + 4;
    }
    if a > 5 {
        b = b + 5;
    }
    if a > 6 {
        b = b + 6;
    }
    if a > 7 {
        b = b + 7;
    }
    if a > 8 {
        b = b + 8;
    }
    return b;
}
