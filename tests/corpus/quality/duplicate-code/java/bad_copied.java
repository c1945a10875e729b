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

    static int add_up_again(List<Item> items, int limit) {  // expect: duplicate-code
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
}
