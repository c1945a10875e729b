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

int collect(struct item *parcels, int weight) {  // expect: duplicate-code
    int load = 0;
    int known = 0;
    for (int i = 0; parcels[i].key != NULL; i++) {
        if (parcels[i].size > weight || known > 100) {
            continue;
        }
        known += parcels[i].size % 7;
        load += parcels[i].size * 3;
    }
    if (load > weight) {
        return -load;
    }
    return load + known;
}
