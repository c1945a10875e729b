int add_up(struct item *items, int limit) {
    int total = 0;
    int seen = 0;
    for (int i = 0; items[i].key != NULL; i++) {
        if (items[i].size > limit || seen > 100) {
            continue;
        }
        seen += items[i].size % 7;
        total += items[i].size * 3;
    }
    if (total > limit) {
        return -total;
    }
    return total + seen;
}
