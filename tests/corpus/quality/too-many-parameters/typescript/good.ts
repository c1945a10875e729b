export function draw(left: number, top: number, width: number, height: number, depth: number, colour: number, weight: number): number {
    return left;
}
