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

    static int collect(List<Item> parcels, int weight) {  // expect: duplicate-code
        int load = 0;
        Set<String> known = new HashSet<>();
        for (Item parcel : parcels) {
            if (known.contains(parcel.key()) || parcel.size() > weight) {
                continue;
            }
            known.add(parcel.key());
            load += parcel.size() * 3;
        }
        return load + known.size();
    }
}
