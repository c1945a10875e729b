package sample

func first(a int, b int, c int) int {
    for a < 10 {
        a = a + 1
        if a > b {
            if a > c {
                c = c + 10
            }
        }
    }
    for b < 20 {
        b = b + 1
        if b > b {
            if b > c {
                c = c + 20
            }
        }
    }
    return a
}

func second(a int, b int, c int) int {
    for c < 30 {
        c = c + 1
        if c > b {
            if c > c {
                c = c + 30
            }
        }
    }
    return c
}
