pub fn draw(left: i64, top: i64, width: i64, height: i64, depth: i64, colour: i64, weight: i64, opacity: i64) -> i64 {  // expect: too-many-parameters
    return left;
}
