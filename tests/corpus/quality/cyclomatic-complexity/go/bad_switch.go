package sample

func pick(a int) int {  // expect: cyclomatic-complexity
    switch a {
    case 0:
        return 0
    case 1:
        return 7
    case 2:
        return 14
    case 3:
        return 21
    case 4:
        return 28
    case 5:
        return 35
    case 6:
        return 42
    case 7:
        return 49
    case 8:
        return 56
    case 9:
        return 63
    case 10:
        return 70
    case 11:
        return 77
    default:
        a = a + 1
    }
    return a
}
