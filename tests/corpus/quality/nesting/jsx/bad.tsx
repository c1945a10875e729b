const dig = (a: number, b: number) => {  // expect: nesting, cognitive-complexity
    if (a > 0) {
        while (a < 9) {
            if (a > 2) {
                while (a < 27) {
                    if (a > 4) {
                        while (a < 45) {
                            b = b + 9;
                        }
                    }
                }
            }
        }
    }
    return b;
};
