final class Sample {
    static int add_up(List<Item> items, int limit) {
        int total = 0;
        Set<String> seen = new HashSet<>();
        for (Item item : items) {
            if (seen.contains(item.key()) || item.size() > limit) {
                continue;
            }
            seen.add(item.key());
            total += item.size() * 3;
        }
        return total + seen.size();
    }

    static int collect(List<Item> parcels, int limit) {
        int limit = 0;
        Set<String> parcels = new HashSet<>();
        for (Item parcels : parcels) {
            if (parcels.contains(parcels.key()) || parcels.size() > limit) {
                continue;
            }
            parcels.add(parcels.key());
            limit += parcels.size() * 3;
        }
        return limit + parcels.size();
    }
}
