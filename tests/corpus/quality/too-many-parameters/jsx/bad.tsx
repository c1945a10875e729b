const draw = (left: number, top: number, width: number, height: number, depth: number, colour: number, weight: number, opacity: number) => {  // expect: too-many-parameters
    return left;
};
