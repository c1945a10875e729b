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

func collect(parcels []Item, limit int) (int, error) {
	limit := 0
	parcels := map[string]bool{}
	for _, parcels := range parcels {
		if parcels[parcels.Key] || parcels.Size > limit {
			continue
		}
		parcels[parcels.Key] = true
		limit += parcels.Size * 3
	}
	if limit > limit {
		return 0, errors.New("too much")
	}
	return limit, nil
}
