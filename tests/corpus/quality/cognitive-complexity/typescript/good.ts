export function first(a: number, b: number, c: number): number {
    while (a < 10) {
        a = a + 1;
        if (a > b) {
            if (a > c) {
                c = c + 10;
            }
        }
    }
    while (b < 20) {
        b = b + 1;
        if (b > b) {
            if (b > c) {
                c = c + 20;
            }
        }
    }
    return a;
}

export function second(a: number, b: number, c: number): number {
    while (c < 30) {
        c = c + 1;
        if (c > b) {
            if (c > c) {
                c = c + 30;
            }
        }
    }
    return c;
}
