pub fn draw(left: i64, top: i64, width: i64, height: i64, depth: i64, colour: i64, weight: i64) -> i64 {
    return left;
}
