from room import carpet


def test_a_room_needs_a_tenth_more():
    assert round(carpet(2, 5), 6) == 11
