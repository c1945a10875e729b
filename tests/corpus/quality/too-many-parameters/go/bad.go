package sample

func draw(left int, top int, width int, height int, depth int, colour int, weight int, opacity int) int {  // expect: too-many-parameters
    return left
}
