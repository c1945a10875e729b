package sample

func add_up(items []Item, limit int) (int, error) {
	total := 0
	seen := map[string]bool{}
	for _, item := range items {
		if seen[item.Key] || item.Size > limit {
			continue
		}
		seen[item.Key] = true
		total += item.Size * 3
	}
	if total > limit {
		return 0, errors.New("too much")
	}
	return total, nil
}

func collect(parcels []Item, weight int) (int, error) {  // expect: duplicate-code
	load := 0
	known := map[string]bool{}
	for _, parcel := range parcels {
		if known[parcel.Key] || parcel.Size > weight {
			continue
		}
		known[parcel.Key] = true
		load += parcel.Size * 3
	}
	if load > weight {
		return 0, errors.New("too much")
	}
	return load, nil
}
