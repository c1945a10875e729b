package sample

func dig(a int, b int) int {  // expect: nesting, cognitive-complexity
    if a > 0 {
        for a < 9 {
            if a > 2 {
                for a < 27 {
                    if a > 4 {
                        for a < 45 {
                            b = b + 9
                        }
                    }
                }
            }
        }
    }
    return b
}
