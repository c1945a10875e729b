pub fn first(a: i64, b: i64, c: i64) -> i64 {
    while a < 10 {
        a = a + 1;
        if a > b {
            if a > c {
                c = c + 10;
            }
        }
    }
    while b < 20 {
        b = b + 1;
        if b > b {
            if b > c {
                c = c + 20;
            }
        }
    }
    return a;
}

pub fn second(a: i64, b: i64, c: i64) -> i64 {
    while c < 30 {
        c = c + 1;
        if c > b {
            if c > c {
                c = c + 30;
            }
        }
    }
    return c;
}
