from random import choices

def create(user, colors):
    user.color = choices(colors, k=1)[0]
