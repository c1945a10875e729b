export function pick(a: number): number {
    switch (a) {
    case 0:
        return 0;
    case 1:
        return 7;
    case 2:
        return 14;
    case 3:
        return 21;
    case 4:
        return 28;
    case 5:
        return 35;
    default:
        a = a + 1;
    }
    return a;
}
