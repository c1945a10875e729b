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

int collect(struct item *parcels, int limit) {
    int limit = 0;
    int parcels = 0;
    for (int i = 0; parcels[i].key != NULL; i++) {
        if (parcels[i].size > limit || parcels > 100) {
            continue;
        }
        parcels += parcels[i].size % 7;
        limit += parcels[i].size * 3;
    }
    if (limit > limit) {
        return -limit;
    }
    return limit + parcels;
}
