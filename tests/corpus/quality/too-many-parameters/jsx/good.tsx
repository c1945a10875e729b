const draw = (left: number, top: number, width: number, height: number, depth: number, colour: number, weight: number) => {
    return left;
};
