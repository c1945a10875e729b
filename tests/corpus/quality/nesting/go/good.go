package sample

func dig(a int, b int) int {
    if a > 0 {
        for a < 9 {
            if a > 2 {
                for a < 27 {
                    if a > 4 {
                        b = b + 9
                    }
                }
            }
        }
    }
    return b
}
