pub fn decide(a: i64, b: i64) -> i64 {
    if a > 1 && b > 0 || b > 1 && b > 2 || b > 3 {
        return 1;
    }
    return a;
}
