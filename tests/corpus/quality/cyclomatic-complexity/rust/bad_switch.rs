pub fn pick(a: i64) -> i64 {  // expect: cyclomatic-complexity
    match a {
        0 => return 0,
        1 => return 7,
        2 => return 14,
        3 => return 21,
        4 => return 28,
        5 => return 35,
        6 => return 42,
        7 => return 49,
        8 => return 56,
        9 => return 63,
        10 => return 70,
        11 => return 77,
        _ => {}
    }
    return a;
}
