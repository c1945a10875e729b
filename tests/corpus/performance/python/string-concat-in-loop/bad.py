def page(rows):
    out = ""
    for row in rows:
        out += "<li>" + row.name + "</li>"  # expect: string-concat-in-loop
    return out


class Log:
    def __init__(self):
        self.text = ""

    def take(self, lines):
        for line in lines:
            self.text += f"{line}\n"  # expect: string-concat-in-loop


def joined(chunks):
    data = b""
    for chunk in chunks:
        data += chunk  # expect: string-concat-in-loop
    return data


def received(sock):
    data = b""
    while True:
        part = sock.recv(4096)
        if not part:
            break
        data = data + part  # expect: string-concat-in-loop
    return data


def table(rows):
    text = ""
    for row in rows:
        for cell in row:
            text += str(cell)  # expect: string-concat-in-loop
        text += "\n"  # expect: string-concat-in-loop
    return text


TOTAL = ""


def remember(words):
    global TOTAL
    for word in words:
        TOTAL += " %s" % word  # expect: string-concat-in-loop
