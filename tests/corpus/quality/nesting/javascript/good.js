function dig(a, b) {
    if (a > 0) {
        while (a < 9) {
            if (a > 2) {
                while (a < 27) {
                    if (a > 4) {
                        b = b + 9;
                    }
                }
            }
        }
    }
    return b;
}
