def page(rows):
    out = []
    for row in rows:
        out.append("<li>" + row.name + "</li>")
    return "".join(out)


def total(numbers):
    result = 0
    for number in numbers:
        result += number
    return result


def grown(chunks):
    data = bytearray()
    for chunk in chunks:
        data += chunk
    return bytes(data)


def lines(rows):
    for row in rows:
        line = ""
        line += str(row)
        yield line


def few(value):
    text = ""
    for part in ("a", "b", "c"):
        text += value[part]
        text += " "
    for _ in range(3):
        text += "-"
    return text


def flushed(words, out):
    line = ""
    for word in words:
        if len(line) > 70:
            out.write(line)
            line = ""
        line += word + " "


def first(words):
    text = ""
    for word in words:
        if word:
            text += "found " + word
            break
    return text


def extended(groups):
    names = []
    for group in groups:
        names += group
    return names
